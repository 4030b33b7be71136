#include "invoker/settings.h"

#include <strings.h>

#define FIELD(f) .offset = offsetof(struct inv_settings, f)

/* clang-format off */
static const struct cw_conf_item ITEMS[] = {
    {.section = "Identity", .key = "cwhisk.id", .env = NULL, .cli = "id", .type = CW_CONF_INT, FIELD(id), .def = "-1", .min = "-1", .max = "1000000",
     .help = "Number of this invoker: its Kafka topic is <prefix>invoker<id>. Ids must be dense from 0. Not given: ZooKeeper keeps one for the unique name."},
    {.section = "Identity", .key = "cwhisk.unique-name", .cli = "uniqueName", .type = CW_CONF_STRING, FIELD(unique_name),
     .help = "Name of this invoker; part of its instance id and of container names."},
    {.section = "Identity", .key = "cwhisk.displayed-name", .cli = "displayedName", .type = CW_CONF_STRING, FIELD(displayed_name),
     .help = "Name that controllers show; only reported in pings."},
    {.section = "Identity", .key = "cwhisk.overwrite-id", .cli = "overwriteId", .type = CW_CONF_INT, FIELD(overwrite_id), .def = "-1", .min = "-1", .max = "1000000",
     .help = "Without an id: makes ZooKeeper give this one to the unique name, and forget any other name that has it."},
    {.section = "Identity", .key = "zookeeper.hosts", .env = "ZOOKEEPER_HOSTS", .type = CW_CONF_STRING, FIELD(zookeeper_hosts),
     .help = "Servers of ZooKeeper, host:port separated by commas; needed and used only without an id."},
    {.section = "Identity", .key = "cwhisk.zookeeper-timeout", .env = "CWHISK_ZOOKEEPER_TIMEOUT", .type = CW_CONF_DURATION, FIELD(zookeeper_ms), .def = "10 seconds", .min = "1 ms", .max = "1 hour",
     .help = "So long ZooKeeper is tried for an id, every half second; then the start fails."},
    {.section = "Identity", .key = "whisk.invoker.resource.tags", .type = CW_CONF_LIST, FIELD(tags),
     .help = "Resource tags reported in pings."},
    {.section = "Identity", .key = "whisk.invoker.dedicated.namespaces", .type = CW_CONF_LIST, FIELD(dedicated_namespaces),
     .help = "Namespaces that this invoker is reserved for, reported in pings."},

    {.section = "HTTP", .key = "port", .env = "PORT", .type = CW_CONF_INT, FIELD(port), .def = "8080", .min = "0", .max = "65535",
     .help = "Port of the administration interface (/ping, /metrics, /enable, /disable, /isEnabled); 0 takes any free one."},
    {.section = "HTTP", .key = "cwhisk.http-address", .env = "CWHISK_HTTP_ADDRESS", .type = CW_CONF_STRING, FIELD(http_address), .def = "0.0.0.0",
     .help = "Address that the administration interface listens on."},
    {.section = "HTTP", .key = "whisk.invoker.username", .type = CW_CONF_STRING, FIELD(http_username), .def = "invoker.user",
     .help = "User of the administration interface."},
    {.section = "HTTP", .key = "whisk.invoker.password", .type = CW_CONF_STRING, .flags = CW_CONF_SECRET, FIELD(http_password), .def = "invoker.pass",
     .help = "Password of the administration interface."},

    {.section = "Kafka", .key = "kafka.hosts", .env = "KAFKA_HOSTS", .type = CW_CONF_STRING, .flags = CW_CONF_REQUIRED, FIELD(kafka_hosts),
     .help = "Bootstrap servers, host:port separated by commas."},
    {.section = "Kafka", .key = "whisk.kafka.topics.prefix", .type = CW_CONF_STRING, FIELD(topic_prefix), .def = "",
     .help = "Put before the names of all topics but events."},
    {.section = "Kafka", .key = "whisk.kafka.topics.user-event.prefix", .type = CW_CONF_STRING, FIELD(user_event_prefix), .def = "",
     .help = "Put before the name of the events topic."},
    {.section = "Kafka", .key = "whisk.kafka.topics.invoker", .type = CW_CONF_MAP, FIELD(topic_invoker),
     .help = "Configuration of the invoker's topic when it has to be created (retention-ms, retention-bytes, segment-bytes, partitions…)."},
    {.section = "Kafka", .key = "whisk.kafka.replication-factor", .type = CW_CONF_INT, FIELD(replication_factor), .def = "1", .min = "1", .max = "100",
     .help = "Replication factor of the invoker's topic when it has to be created."},
    {.section = "Kafka", .key = "whisk.kafka.common", .type = CW_CONF_MAP, FIELD(kafka_common),
     .help = "Settings of all Kafka clients in Java's spelling with - for . (security-protocol…)."},
    {.section = "Kafka", .key = "whisk.kafka.consumer", .type = CW_CONF_MAP, FIELD(kafka_consumer),
     .help = "Settings of Kafka consumers (session-timeout-ms…)."},
    {.section = "Kafka", .key = "whisk.kafka.producer", .type = CW_CONF_MAP, FIELD(kafka_producer),
     .help = "Settings of Kafka producers (acks…)."},
    {.section = "Kafka", .key = "whisk.user-events.enabled", .type = CW_CONF_BOOL, FIELD(user_events), .def = "false",
     .help = "Send an event about each activation to the events topic."},

    {.section = "Pool", .key = "whisk.container-pool.user-memory", .type = CW_CONF_SIZE, FIELD(user_memory_bytes), .def = "1024 m", .min = "1 m", .max = "1024 t",
     .help = "Memory that all action containers of this invoker may use together."},
    {.section = "Pool", .key = "whisk.container-pool.user-cpus", .type = CW_CONF_NUMBER, FIELD(user_cpus), .def = "0", .min = "0", .max = "100000",
     .help = "Cores to share out by memory as quotas; 0 sets no quota."},
    {.section = "Pool", .key = "whisk.container-pool.concurrent-peek-factor", .type = CW_CONF_FRACTION, FIELD(concurrent_peek_factor), .def = "0.5",
     .help = "Part of the concurrent capacity that may be taken from Kafka at once."},
    {.section = "Pool", .key = "whisk.container-proxy.timeouts.idle-container", .type = CW_CONF_DURATION, FIELD(idle_container_ms), .def = "10 minutes", .min = "0 ms",
     .help = "An idle container is removed after this time."},
    {.section = "Pool", .key = "whisk.container-proxy.timeouts.pause-grace", .type = CW_CONF_DURATION, FIELD(pause_grace_ms), .def = "10 seconds", .min = "0 ms",
     .help = "An idle container is paused after this time."},
    {.section = "Pool", .key = "whisk.container-pool.prewarm-expiration-check-init-delay", .type = CW_CONF_DURATION, FIELD(prewarm_check_delay_ms), .def = "10 minutes", .min = "0 ms",
     .help = "First look at reactive stem cells: expired containers are removed, and cold starts since the last look raise the number of prewarmed ones."},
    {.section = "Pool", .key = "whisk.container-pool.prewarm-expiration-check-interval", .type = CW_CONF_DURATION, FIELD(prewarm_check_ms), .def = "10 minutes", .min = "1 ms",
     .help = "Time between looks at reactive stem cells."},
    {.section = "Pool", .key = "whisk.container-pool.prewarm-expiration-check-interval-variance", .type = CW_CONF_DURATION, FIELD(prewarm_check_variance_ms), .def = "10 seconds", .min = "0 ms",
     .help = "A random part of this is added to the interval, once, so that invokers do not all look at the same moment."},
    {.section = "Pool", .key = "whisk.container-pool.prewarm-expiration-limit", .type = CW_CONF_INT, FIELD(prewarm_expiration_limit), .def = "100", .min = "0", .max = "1000000",
     .help = "Expired prewarmed containers removed at one look, oldest first."},

    {.section = "Limits", .key = "whisk.memory.min", .type = CW_CONF_SIZE, FIELD(memory_min_bytes), .def = "128 m", .min = "1 m", .help = "Least memory of an action."},
    {.section = "Limits", .key = "whisk.memory.max", .type = CW_CONF_SIZE, FIELD(memory_max_bytes), .def = "512 m", .min = "1 m", .help = "Most memory of an action."},
    {.section = "Limits", .key = "whisk.time-limit.min", .type = CW_CONF_DURATION, FIELD(time_min_ms), .def = "100 ms", .min = "0 ms", .help = "Shortest time limit of an action."},
    {.section = "Limits", .key = "whisk.time-limit.max", .type = CW_CONF_DURATION, FIELD(time_max_ms), .def = "5 m", .min = "1 ms", .help = "Longest time limit of an action."},
    {.section = "Limits", .key = "whisk.time-limit.std", .type = CW_CONF_DURATION, FIELD(time_std_ms), .def = "1 m", .min = "1 ms", .help = "Time limit of an action that names none; controllers wait at least twice as long and a minute for any."},
    {.section = "Limits", .key = "whisk.log-limit.min", .type = CW_CONF_SIZE, FIELD(log_min_bytes), .def = "0 m", .min = "0", .help = "Least log limit of an action."},
    {.section = "Limits", .key = "whisk.log-limit.max", .type = CW_CONF_SIZE, FIELD(log_max_bytes), .def = "10 m", .min = "0", .help = "Largest log limit of an action."},
    {.section = "Limits", .key = "whisk.log-limit.std", .type = CW_CONF_SIZE, FIELD(log_std_bytes), .def = "10 m", .min = "0", .help = "Log limit of an action that names none."},
    {.section = "Limits", .key = "whisk.concurrency-limit.min", .type = CW_CONF_INT, FIELD(concurrency_min), .def = "1", .min = "1", .max = "100000", .help = "Least concurrency of an action in one container."},
    {.section = "Limits", .key = "whisk.concurrency-limit.max", .type = CW_CONF_INT, FIELD(concurrency_max), .def = "1", .min = "1", .max = "100000", .help = "Largest concurrency of an action in one container."},
    {.section = "Limits", .key = "whisk.concurrency-limit.std", .type = CW_CONF_INT, FIELD(concurrency_std), .def = "1", .min = "1", .max = "100000", .help = "Concurrency of an action that names none."},
    {.section = "Limits", .key = "whisk.activation.payload.max", .type = CW_CONF_SIZE, FIELD(payload_max_bytes), .def = "1 m", .min = "1 k", .max = "1 g", .help = "Largest argument and largest result of an action."},
    {.section = "Limits", .key = "whisk.activation.payload.truncation", .type = CW_CONF_SIZE, FIELD(truncation_bytes), .def = "1 m", .min = "0", .max = "1 g", .help = "Bytes kept of a result that is too large."},
    {.section = "Limits", .key = "whisk.activation.serdes-overhead", .type = CW_CONF_SIZE, FIELD(serdes_overhead_bytes), .def = "6068", .min = "0", .max = "1 g", .help = "Added to the payload limit for the largest Kafka message."},

    {.section = "CouchDB", .key = "whisk.couchdb.protocol", .type = CW_CONF_STRING, .flags = CW_CONF_REQUIRED, FIELD(couch_protocol), .help = "http or https."},
    {.section = "CouchDB", .key = "whisk.couchdb.host", .type = CW_CONF_STRING, .flags = CW_CONF_REQUIRED, FIELD(couch_host), .help = "Host of CouchDB."},
    {.section = "CouchDB", .key = "whisk.couchdb.port", .type = CW_CONF_INT, .flags = CW_CONF_REQUIRED, FIELD(couch_port), .min = "1", .max = "65535", .help = "Port of CouchDB."},
    {.section = "CouchDB", .key = "whisk.couchdb.username", .type = CW_CONF_STRING, .flags = CW_CONF_REQUIRED, FIELD(couch_username), .help = "User for CouchDB."},
    {.section = "CouchDB", .key = "whisk.couchdb.password", .type = CW_CONF_STRING, .flags = CW_CONF_REQUIRED | CW_CONF_SECRET, FIELD(couch_password), .help = "Password for CouchDB."},
    {.section = "CouchDB", .key = "whisk.couchdb.provider", .type = CW_CONF_STRING, FIELD(couch_provider), .def = "CouchDB", .help = "CouchDB or Cloudant."},
    {.section = "CouchDB", .key = "whisk.couchdb.databases.WhiskEntity", .type = CW_CONF_STRING, .flags = CW_CONF_REQUIRED, FIELD(db_entities), .help = "Database of actions."},
    {.section = "CouchDB", .key = "whisk.couchdb.databases.WhiskActivation", .type = CW_CONF_STRING, .flags = CW_CONF_REQUIRED, FIELD(db_activations), .help = "Database of activation records."},
    {.section = "CouchDB", .key = "whisk.couchdb.databases.WhiskAuth", .type = CW_CONF_STRING, FIELD(db_subjects), .def = "", .help = "Database of subjects."},
    {.section = "CouchDB", .key = "whisk.activation.store-blocking-result-level", .type = CW_CONF_STRING, FIELD(store_blocking), .def = "STORE_ALWAYS",
     .help = "Which blocking activations leave a record: STORE_ALWAYS, STORE_FAILURES or STORE_FAILURES_NOT_APPLICATION_ERRORS; with anything else whisk.activation.disable-store-result decides."},
    {.section = "CouchDB", .key = "whisk.activation.store-non-blocking-result-level", .type = CW_CONF_CHOICE, FIELD(store_non_blocking), .def = "STORE_ALWAYS",
     .choices = "STORE_ALWAYS|STORE_FAILURES|STORE_FAILURES_NOT_APPLICATION_ERRORS", .help = "Which non-blocking activations leave a record."},
    {.section = "CouchDB", .key = "whisk.activation.disable-store-result", .type = CW_CONF_BOOL, FIELD(disable_store_result), .def = "false",
     .help = "Deprecated: only failures of blocking activations leave a record. Counts when whisk.activation.store-blocking-result-level is no level."},
    {.section = "CouchDB", .key = "whisk.activation.unstored-logs-enabled", .type = CW_CONF_BOOL, FIELD(unstored_logs), .def = "false", .help = "Log a line for each activation that leaves no record."},
    {.section = "CouchDB", .key = "whisk.blacklist.poll-interval", .type = CW_CONF_DURATION, FIELD(blacklist_poll_ms), .def = "5 minutes", .min = "10 ms", .help = "How often the blocked namespaces are read."},
    {.section = "CouchDB", .key = "whisk.parameter-storage.current", .type = CW_CONF_STRING, FIELD(param_scheme), .def = "off",
     .help = "How controllers encrypt parameters: off, noop, aes-128, aes-256. An invoker decrypts whatever it has the key for."},
    {.section = "CouchDB", .key = "whisk.parameter-storage.aes-128", .alias = "whisk.parameter-storage.aes128", .type = CW_CONF_STRING, .flags = CW_CONF_SECRET, FIELD(param_aes_128), .def = "", .help = "Key of encrypted parameters, base64."},
    {.section = "CouchDB", .key = "whisk.parameter-storage.aes-256", .alias = "whisk.parameter-storage.aes256", .type = CW_CONF_STRING, .flags = CW_CONF_SECRET, FIELD(param_aes_256), .def = "", .help = "Key of encrypted parameters, base64."},
    {.section = "CouchDB", .key = "cwhisk.catalog-memory", .env = "CWHISK_CATALOG_MEMORY", .type = CW_CONF_SIZE, FIELD(catalog_bytes), .def = "256 m", .min = "1 m", .max = "1 t",
     .help = "Memory for actions kept in the cache; the least recently used leave first."},

    {.section = "Containers", .key = "runtimes.manifest", .env = "RUNTIMES_MANIFEST", .type = CW_CONF_STRING, .flags = CW_CONF_REQUIRED, FIELD(runtimes_manifest),
     .help = "Kinds and images, JSON."},
    {.section = "Containers", .key = "whisk.container-factory.runtimes-registry.url", .type = CW_CONF_STRING, FIELD(runtimes_registry), .def = "", .help = "Registry of managed images that name none."},
    {.section = "Containers", .key = "whisk.container-factory.user-images-registry.url", .type = CW_CONF_STRING, FIELD(user_images_registry), .def = "", .help = "Registry of blackbox images that name none."},
    {.section = "Containers", .key = "whisk.runtimes.bypass-pull-for-local-images", .type = CW_CONF_BOOL, FIELD(bypass_pull_for_local_images), .def = "false", .help = "Blackbox images with the local prefix are used as they are, without a pull."},
    {.section = "Containers", .key = "whisk.runtimes.local-image-prefix", .type = CW_CONF_STRING, FIELD(local_image_prefix), .def = "whisk", .help = "Prefix of local images."},
    {.section = "Containers", .key = "whisk.api.host.name", .env = "WHISK_API_HOST_NAME", .type = CW_CONF_STRING, .flags = CW_CONF_REQUIRED, FIELD(api_host_name), .help = "Host of the API, for __OW_API_HOST."},
    {.section = "Containers", .key = "whisk.api.host.proto", .env = "WHISK_API_HOST_PROTO", .type = CW_CONF_STRING, FIELD(api_host_proto), .def = "https", .help = "Protocol of the API, for __OW_API_HOST."},
    {.section = "Containers", .key = "whisk.api.host.port", .env = "WHISK_API_HOST_PORT", .type = CW_CONF_INT, FIELD(api_host_port), .def = "443", .min = "1", .max = "65535", .help = "Port of the API, for __OW_API_HOST."},
    {.section = "Containers", .key = "whisk.container-factory.container-args.network", .type = CW_CONF_STRING, FIELD(network), .def = "bridge", .help = "Docker network of action containers."},
    {.section = "Containers", .key = "whisk.container-factory.container-args.dns-servers", .type = CW_CONF_LIST, FIELD(dns_servers), .help = "DNS servers of action containers."},
    {.section = "Containers", .key = "whisk.container-factory.container-args.dns-search", .type = CW_CONF_LIST, FIELD(dns_search), .help = "DNS search domains of action containers."},
    {.section = "Containers", .key = "whisk.container-factory.container-args.dns-options", .type = CW_CONF_LIST, FIELD(dns_options), .help = "DNS options of action containers."},
    {.section = "Containers", .key = "whisk.container-factory.container-args.extra-env-vars", .type = CW_CONF_LIST, FIELD(extra_env), .help = "Environment of action containers, K=V."},
    {.section = "Containers", .key = "whisk.container-factory.container-args.extra-args", .type = CW_CONF_MAP, FIELD(extra_args), .help = "Flags of docker run for action containers, each with a list of values; see the list of supported flags."},
    {.section = "Containers", .key = "whisk.docker.container-factory.use-runc", .type = CW_CONF_BOOL, FIELD(use_runc), .def = "true", .help = "Without effect: containers are always paused and resumed through the engine, which then knows of it."},
    {.section = "Containers", .key = "whisk.docker.client.mask-docker-run-args", .type = CW_CONF_BOOL, FIELD(mask_run_args), .def = "false", .help = "Without effect: no log line holds a container's environment."},
    {.section = "Containers", .key = "cwhisk.cluster", .type = CW_CONF_STRING, FIELD(cluster), .def = "", .help = "Name of the deployment, a label of its containers: of several deployments on one engine none removes another's left-overs, even of the same invoker id."},
    {.section = "Containers", .key = "cwhisk.docker-socket", .env = "CWHISK_DOCKER_SOCKET", .type = CW_CONF_STRING, FIELD(docker_socket),
     .help = "Unix socket of the Docker Engine; empty: from DOCKER_HOST, else /var/run/docker.sock."},
    {.section = "Containers", .key = "docker.host", .env = "DOCKER_HOST", .type = CW_CONF_STRING, FIELD(docker_host),
     .help = "Docker's own variable; only unix:///path is accepted."},
    {.section = "Containers", .key = "cwhisk.containers-dir", .env = "CWHISK_CONTAINERS_DIR", .type = CW_CONF_STRING, FIELD(containers_dir),
     .help = "Where Docker's container directory is mounted; empty: /containers if it exists, else the path that Docker names."},
    {.section = "Containers", .key = "whisk.docker.client.parallel-runs", .type = CW_CONF_INT, FIELD(docker_parallel_runs), .def = "10", .min = "0", .max = "1000", .help = "Containers created at once; 0: no bound."},
    {.section = "Containers", .key = "whisk.docker.client.timeouts.run", .type = CW_CONF_DURATION, FIELD(docker_run_ms), .def = "1 minute", .min = "1 ms", .help = "Deadline for creating and starting."},
    {.section = "Containers", .key = "whisk.docker.client.timeouts.rm", .type = CW_CONF_DURATION, FIELD(docker_rm_ms), .def = "1 minute", .min = "1 ms", .help = "Deadline for removing."},
    {.section = "Containers", .key = "whisk.docker.client.timeouts.pull", .type = CW_CONF_DURATION, FIELD(docker_pull_ms), .def = "10 minutes", .min = "1 ms", .help = "Deadline for pulling an image."},
    {.section = "Containers", .key = "whisk.docker.client.timeouts.ps", .type = CW_CONF_DURATION, FIELD(docker_ps_ms), .def = "1 minute", .min = "1 ms", .help = "Deadline for listing."},
    {.section = "Containers", .key = "whisk.docker.client.timeouts.inspect", .type = CW_CONF_DURATION, FIELD(docker_inspect_ms), .def = "1 minute", .min = "1 ms", .help = "Deadline for inspecting."},
    {.section = "Containers", .key = "whisk.docker.client.timeouts.pause", .type = CW_CONF_DURATION, FIELD(docker_pause_ms), .def = "10 seconds", .min = "1 ms", .help = "Deadline for pausing."},
    {.section = "Containers", .key = "whisk.docker.client.timeouts.unpause", .type = CW_CONF_DURATION, FIELD(docker_unpause_ms), .def = "10 seconds", .min = "1 ms", .help = "Deadline for resuming."},
    {.section = "Containers", .key = "whisk.docker.client.timeouts.version", .type = CW_CONF_DURATION, FIELD(docker_version_ms), .def = "10 seconds", .min = "1 ms", .help = "Deadline for the handshake at start."},

    {.section = "Logs of actions", .key = "whisk.spi.LogStoreProvider", .type = CW_CONF_STRING, FIELD(log_store_provider), .def = "org.apache.openwhisk.core.containerpool.logging.DockerToActivationLogStoreProvider",
     .help = "Where logs of activations go, by the last part of the class name: DockerToActivationLogStoreProvider (into the record), DockerToActivationFileLogStoreProvider and ElasticSearchLogStoreProvider (also into files), LogDriverLogStoreProvider and SplunkLogStoreProvider (not collected: extra-args name the log driver), DockerCliLogStoreProvider (into the record, by the engine's stream)."},
    {.section = "Logs of actions", .key = "cwhisk.userlogs-dir", .env = "CWHISK_USERLOGS_DIR", .type = CW_CONF_STRING, FIELD(userlogs_dir), .def = "logs",
     .help = "Folder of the files userlogs-<epoch ms>.log; relative to the working directory, as OpenWhisk's."},
    {.section = "Logs of actions", .key = "cwhisk.destroy-on-incomplete-logs", .env = "CWHISK_DESTROY_ON_INCOMPLETE_LOGS", .type = CW_CONF_BOOL, FIELD(remove_on_incomplete_logs), .def = "false",
     .help = "Remove a container after an activation whose logs were cut by the limit or came late, as OpenWhisk does. Otherwise it is kept if the run was healthy; the next activation begins only after the missing end of those logs."},

    {.section = "Operation", .key = "logback.log.level", .type = CW_CONF_CHOICE, FIELD(log_level), .def = "INFO", .choices = "ERROR|WARN|INFO|DEBUG", .help = "Least severe log lines that are written."},
    {.section = "Operation", .key = "cwhisk.log-format", .env = "CWHISK_LOG_FORMAT", .type = CW_CONF_CHOICE, FIELD(log_format), .def = "whisk", .choices = "whisk|json", .help = "Log lines in OpenWhisk's shape, or JSON objects."},
    {.section = "Operation", .key = "metrics.log", .env = "METRICS_LOG", .type = CW_CONF_BOOL, FIELD(log_markers), .def = "true", .help = "Append OpenWhisk's [marker:…] to log lines."},
    {.section = "Operation", .key = "metrics.kamon.tags", .env = "METRICS_KAMON_TAGS", .type = CW_CONF_BOOL, FIELD(kamon_tags), .def = "false",
     .help = "Name metrics as OpenWhisk does with this: what varies (state of a container, command, topic, status code, action) becomes a label."},
    {.section = "Operation", .key = "whisk.metrics.prometheus-enabled", .type = CW_CONF_BOOL, FIELD(prometheus), .def = "true", .help = "Serve /metrics."},
    {.section = "Operation", .key = "cwhisk.stale-work", .env = "CWHISK_STALE_WORK", .type = CW_CONF_CHOICE, FIELD(stale_work), .def = "run", .choices = "run|answer",
     .help = "Activations so old that their controller has given them up: run them as OpenWhisk does, or answer them with an error."},
    {.section = "Operation", .key = "cwhisk.takeover", .env = "CWHISK_TAKEOVER", .cli = "takeover", .type = CW_CONF_CHOICE, FIELD(takeover), .def = "wait", .choices = "wait|refuse",
     .help = "When another process is at work with this id (a member of the topic's consumer group, or holder of the lock in the data directory): wait until it is gone, or refuse to start."},
    {.section = "Operation", .key = "cwhisk.data-dir", .env = "CWHISK_DATA_DIR", .type = CW_CONF_STRING, FIELD(data_dir), .def = "",
     .help = "Directory for what must outlive the process; holds the lock file that keeps two processes of one id apart. Empty: none."},
    {.section = "Operation", .key = "cwhisk.drain-timeout", .env = "CWHISK_DRAIN_TIMEOUT", .type = CW_CONF_DURATION, FIELD(drain_ms), .def = "8 seconds", .min = "0 ms", .max = "1 hour",
     .help = "On SIGTERM, activations that were taken may finish for this long; then they are answered with an error. (docker stop kills after 10 s.)"},
};
/* clang-format on */

const struct cw_conf_table *inv_settings_table(void)
{
    static const struct cw_conf_table TABLE = {
        .program = "cwhisk invoker",
        .items = ITEMS,
        .count = CW_ARRAY_LEN(ITEMS),
        .struct_size = sizeof(struct inv_settings),
    };

    return &TABLE;
}

enum inv_store_level inv_settings_blocking_level(const struct inv_settings *s, bool *ret_deprecated)
{
    static const char *const NAMES[] = {
        [INV_STORE_ALWAYS] = "STORE_ALWAYS",
        [INV_STORE_FAILURES] = "STORE_FAILURES",
        [INV_STORE_FAILURES_NOT_APPLICATION_ERRORS] = "STORE_FAILURES_NOT_APPLICATION_ERRORS",
    };

    *ret_deprecated = false;
    for (size_t i = 0; i < CW_ARRAY_LEN(NAMES); i++)
        if (strcasecmp(s->store_blocking, NAMES[i]) == 0)
            return (enum inv_store_level)i;
    *ret_deprecated = true;
    return s->disable_store_result ? INV_STORE_FAILURES : INV_STORE_ALWAYS;
}
