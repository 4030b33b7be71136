/* Class names in whisk.spi.* (openwhisk helm.md 9, item 4; invoker.md 3). */
#include "tests/support/cmocka_all.h"

#include "common/base/err.h"
#include "invoker/providers.h"
#include "invoker/settings.h"

static void absent_and_empty_mean_the_sharding_protocol(void **state)
{
    char empty[] = "";
    struct inv_settings s = {.invoker_provider = empty};

    (void)state;
    assert_int_equal(inv_providers_check(&s, NULL), 0);
}

static void parts_that_we_stand_for_are_accepted_by_the_last_part_of_the_name(void **state)
{
    char invoker[] = "org.apache.openwhisk.core.invoker.InvokerReactive";
    char server[] = "org.apache.openwhisk.core.invoker.DefaultInvokerServer";
    char messaging[] = "org.apache.openwhisk.connector.kafka.KafkaMessagingProvider";
    char factory[] =
        "org.apache.openwhisk.core.containerpool.docker.DockerContainerFactoryProvider";
    char artifacts[] = "org.apache.openwhisk.core.database.CouchDbStoreProvider";
    char activations[] = "ArtifactActivationStoreProvider";
    const struct inv_settings s = {
        .invoker_provider = invoker,
        .invoker_server_provider = server,
        .messaging_provider = messaging,
        .container_factory_provider = factory,
        .artifact_store_provider = artifacts,
        .activation_store_provider = activations,
    };

    (void)state;
    assert_int_equal(inv_providers_check(&s, NULL), 0);
}

static void expect_refused(const struct inv_settings *s, const char *key, const char *class_name)
{
    struct cw_err err = {0};

    assert_int_equal(inv_providers_check(s, &err), -1);
    assert_int_equal(err.code, CW_INVALID);
    assert_ptr_equal(strstr(err.msg, key), err.msg);
    assert_non_null(strstr(err.msg, class_name));
    assert_non_null(strstr(err.msg, "accepted: "));
}

static void other_parts_are_refused_by_name(void **state)
{
    char scheduler[] = "org.apache.openwhisk.core.invoker.FPCInvokerReactive";
    char server[] = "org.apache.openwhisk.core.invoker.FPCInvokerServer";
    char lean[] = "org.apache.openwhisk.connector.lean.LeanMessagingProvider";
    char pods[] =
        "org.apache.openwhisk.core.containerpool.kubernetes.KubernetesContainerFactoryProvider";
    char mongo[] = "org.apache.openwhisk.core.database.mongodb.MongoDBArtifactStoreProvider";
    char s3[] = "org.apache.openwhisk.core.database.s3.S3AttachmentStoreProvider";
    char elastic[] =
        "org.apache.openwhisk.core.database.elasticsearch.ElasticSearchActivationStoreProvider";

    (void)state;
    expect_refused(&(struct inv_settings){.invoker_provider = scheduler},
                   "whisk.spi.InvokerProvider", "FPCInvokerReactive");
    expect_refused(&(struct inv_settings){.invoker_server_provider = server},
                   "whisk.spi.InvokerServerProvider", "FPCInvokerServer");
    expect_refused(&(struct inv_settings){.messaging_provider = lean},
                   "whisk.spi.MessagingProvider", "LeanMessagingProvider");
    expect_refused(&(struct inv_settings){.container_factory_provider = pods},
                   "whisk.spi.ContainerFactoryProvider", "KubernetesContainerFactoryProvider");
    expect_refused(&(struct inv_settings){.artifact_store_provider = mongo},
                   "whisk.spi.ArtifactStoreProvider", "MongoDBArtifactStoreProvider");
    expect_refused(&(struct inv_settings){.attachment_store_provider = s3},
                   "whisk.spi.AttachmentStoreProvider", "S3AttachmentStoreProvider");
    expect_refused(&(struct inv_settings){.activation_store_provider = elastic},
                   "whisk.spi.ActivationStoreProvider", "ElasticSearchActivationStoreProvider");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_and_empty_mean_the_sharding_protocol),
        cmocka_unit_test(parts_that_we_stand_for_are_accepted_by_the_last_part_of_the_name),
        cmocka_unit_test(other_parts_are_refused_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
