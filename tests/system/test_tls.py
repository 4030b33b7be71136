"""TLS and SASL: to Kafka with every kind of store, the HTTP interface, CouchDB behind https."""

import pytest
import requests

from harness.code import NODE_ECHO
from harness.couch import Action
from harness.tls_front import STORES, TlsFront
from harness.wait import wait_until

ADMIN = ("invoker.user", "invoker.pass")
PASSWORD = "geheim"
COMMON = "CONFIG_whisk_kafka_common_"
MODULE = "org.apache.kafka.common.security"
TLS, MUTUAL, SASL = 0, 1, 2  # the broker's listeners, by port


@pytest.fixture(scope="session")
def listeners(tls_hosts):
    host, port = tls_hosts.split(":")
    return [f"{host}:{int(port) + i}" for i in range(3)]


def settings(**values):
    return {COMMON + key: str(value) for key, value in values.items()}


def sasl(mechanism, module, password=PASSWORD):
    return settings(securityProtocol="SASL_SSL", saslMechanism=mechanism, sslTruststoreLocation=STORES / "trust.p12",
                    sslTruststorePassword=PASSWORD,
                    saslJaasConfig=f'{MODULE}.{module} required username="whisk" password="{password}";')


KAFKA = {
    "jks": (TLS, lambda: settings(securityProtocol="SSL", sslTruststoreLocation=STORES / "trust.jks",
                                  sslTruststorePassword=PASSWORD, sslEndpointIdentificationAlgorithm="https")),
    "pkcs12, client key of OpenSSL 1": (MUTUAL, lambda: settings(
        securityProtocol="SSL", sslTruststoreLocation=STORES / "trust.p12", sslTruststorePassword=PASSWORD,
        sslKeystoreLocation=STORES / "client.p12", sslKeystorePassword=PASSWORD,
        sslCipherSuites="TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", sslEnabledProtocols="TLSv1.2,TLSv1.3")),
    "pem, client key": (MUTUAL, lambda: settings(
        securityProtocol="SSL", sslTruststoreType="PEM", sslTruststoreCertificates=(STORES / "two-roots.pem").read_text(),
        sslKeystoreType="PEM", sslKeystoreLocation=STORES / "client.pem")),
    "plain": (SASL, lambda: sasl("PLAIN", "plain.PlainLoginModule")),
    "scram-sha-256": (SASL, lambda: sasl("SCRAM-SHA-256", "scram.ScramLoginModule")),
    "scram-sha-512": (SASL, lambda: sasl("SCRAM-SHA-512", "scram.ScramLoginModule")),
}


@pytest.mark.parametrize("way", KAFKA)
def test_work_flows_over_secured_connections(make_invoker, controller, listeners, ns, way):
    listener, values = KAFKA[way]
    invoker = make_invoker({"KAFKA_HOSTS": listeners[listener], **values()}).start(controller)
    # One that is not in the store is answered, too, and needs no container.
    activation = controller.invoke(invoker, Action(f"{ns}/none", "nodejs:20", NODE_ECHO))
    assert activation.response()["result"]["error"]
    assert controller.wait_ping(invoker, count=2)
    assert PASSWORD not in invoker.log() and "PRIVATE KEY" not in invoker.log()


def refused(invoker, *words):
    """Ends by itself with status 1, and one error line says why."""
    assert invoker.spawn().wait_exit(60) == 1, invoker.log()
    errors = [line for line in invoker.log().splitlines() if any(w in line for w in words)]
    assert errors and all(w in "\n".join(errors) for w in words), invoker.log()
    assert PASSWORD not in invoker.log()


@pytest.mark.parametrize("way,listener,values,words", [
    ("wrong password", SASL, lambda: sasl("PLAIN", "plain.PlainLoginModule", "wrong"), ["uthentication failed"]),
    ("wrong password, scram", SASL, lambda: sasl("SCRAM-SHA-512", "scram.ScramLoginModule", "wrong"), ["uthentication failed"]),
    ("another authority", TLS, lambda: settings(securityProtocol="SSL", sslTruststoreLocation=STORES / "stranger.pem"),
     ["certificate verify failed"]),
    ("no client key", MUTUAL, lambda: settings(securityProtocol="SSL", sslTruststoreLocation=STORES / "root.pem"), ["SSL"]),
])
def test_brokers_that_do_not_let_in_are_told_about(make_invoker, controller, listeners, way, listener, values, words):
    invoker = make_invoker({"KAFKA_HOSTS": listeners[listener], **values()}).spawn()
    wait_until(lambda: all(w in invoker.log() for w in words), timeout=15, what=lambda: f"{way}:\n{invoker.tail()}")
    assert "wrong" not in invoker.log() and PASSWORD not in invoker.log()
    invoker.kill()  # it would try on, and then take its time to tell a broker that it goes


def test_start_that_fails_for_a_wrong_password_says_so(make_invoker, listeners):
    refused(make_invoker({"KAFKA_HOSTS": listeners[SASL], **sasl("PLAIN", "plain.PlainLoginModule", "wrong")}), "start failed", "uthentication")


@pytest.mark.parametrize("values,words", [
    (settings(securityProtocol="SSL", sslTruststoreLocation="/conf/none.jks"),
     ["whisk.kafka.common.ssl-truststore-location: /conf/none.jks: No such file"]),
    (settings(securityProtocol="SSL", sslTruststoreLocation=STORES / "trust.jks", sslTruststorePassword="wrong"),
     ["whisk.kafka.common.ssl-truststore-location", "wrong password, or the JKS store was tampered with"]),
    (settings(securityProtocol="SSL", sslKeystoreLocation=STORES / "key.jks", sslKeystorePassword=PASSWORD),
     ["whisk.kafka.common.ssl-keystore-location", "keytool -importkeystore -srckeystore", "-deststoretype pkcs12"]),
    (settings(securityProtocol="SASL_SSL", saslMechanism="OAUTHBEARER"), ["whisk.kafka.common.sasl-mechanism", "OAUTHBEARER"]),
    ({"CONFIG_whisk_invoker_protocol": "https"}, ["whisk.invoker.https.keystore-path"]),
    ({"CONFIG_whisk_invoker_protocol": "https", "CONFIG_whisk_invoker_https_keystorePath": "/conf/none.p12"},
     ["whisk.invoker.https.keystore-path: /conf/none.p12: No such file"]),
    ({"CONFIG_whisk_invoker_protocol": "https", "CONFIG_whisk_invoker_https_keystorePath": str(STORES / "server.p12"),
      "CONFIG_whisk_invoker_https_keystorePassword": "wrong"}, ["whisk.invoker.https.keystore-path", "wrong password"]),
    ({"CONFIG_whisk_invoker_protocol": "https", "CONFIG_whisk_invoker_https_keystorePath": str(STORES / "server.p12"),
      "CONFIG_whisk_invoker_https_keystoreFlavor": "BCFKS"}, ["BCFKS", "JKS, PKCS12, PEM"]),
    ({"CWHISK_COUCHDB_CA_FILE": "/conf/none.pem"}, ["cwhisk.couchdb-ca-file: /conf/none.pem: No such file"]),
    ({"CONFIG_whisk_transactions_header": "no header"}, ["whisk.transactions.header"]),
])
def test_stores_that_cannot_be_used_end_the_start(make_invoker, values, words):
    refused(make_invoker(values), *words)


def https(invoker, path, method="GET", cert=None, auth=None):
    return requests.request(method, f"https://localhost:{invoker.port}{path}", auth=auth, timeout=10, verify=str(STORES / "root.pem"),
                            cert=cert and str(STORES / cert))


def test_http_interface_over_tls_as_ansible_sets_it(make_invoker, controller):
    invoker = make_invoker({"CONFIG_whisk_invoker_protocol": "https", "CONFIG_whisk_invoker_https_clientAuth": "true",
                            "CONFIG_whisk_invoker_https_keystoreFlavor": "PKCS12",
                            "CONFIG_whisk_invoker_https_keystorePassword": PASSWORD,
                            "CONFIG_whisk_invoker_https_keystorePath": str(STORES / "server.p12")}).start(controller)
    assert https(invoker, "/ping", cert="server.pem").text == "pong"
    assert https(invoker, "/isEnabled", cert="server.pem", auth=ADMIN).json() == {"enabled": True}
    assert https(invoker, "/isEnabled", cert="server.pem").status_code == 401
    for cert in (None, "stray.pem"):
        with pytest.raises(requests.exceptions.ConnectionError):
            https(invoker, "/ping", cert=cert)
    with pytest.raises(requests.exceptions.ConnectionError):
        invoker.http("/ping")
    assert https(invoker, "/ping", cert="server.pem").text == "pong"


def test_http_interface_over_tls_for_everybody(make_invoker, controller):
    invoker = make_invoker({"CONFIG_whisk_invoker_protocol": "https", "CONFIG_whisk_invoker_https_clientAuth": "false",
                            "CONFIG_whisk_invoker_https_keystoreFlavor": "PEM",
                            "CONFIG_whisk_invoker_https_keystorePath": str(STORES / "server.pem")}).start(controller)
    assert https(invoker, "/ready").status_code == 200
    assert https(invoker, "/disable", "POST", auth=ADMIN).text.endswith(" is now disabled.")


@pytest.fixture
def front(couch):
    front = TlsFront(couch.host, couch.port)
    yield front
    front.close()


def test_couchdb_behind_https(make_invoker, controller, front, ns):
    invoker = make_invoker({"CONFIG_whisk_couchdb_protocol": "https", "CONFIG_whisk_couchdb_host": "localhost",
                            "CONFIG_whisk_couchdb_port": str(front.port), "CWHISK_COUCHDB_CA_FILE": str(STORES / "root.pem")})
    invoker.start(controller)
    activation = controller.invoke(invoker, controller.put(f"{ns}/stored", "nodejs:20", NODE_ECHO), {"a": 1})
    assert activation.record()["response"]["result"] == {"a": 1}
    assert front.connections > 0


def test_couchdb_that_nobody_vouches_for_is_not_talked_to(make_invoker, front):
    invoker = make_invoker({"CONFIG_whisk_couchdb_protocol": "https", "CONFIG_whisk_couchdb_host": "localhost",
                            "CONFIG_whisk_couchdb_port": str(front.port)}).spawn()
    wait_until(lambda: "SSL certificate problem" in invoker.log(), timeout=20, what=lambda: f"a line about it:\n{invoker.tail()}")
    assert front.connections == 0
