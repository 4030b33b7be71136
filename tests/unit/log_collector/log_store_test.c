/* Names of log stores. */
#include "tests/support/cmocka_all.h"

#include "common/base/err.h"
#include "invoker/logs/log_store.h"

#define PACKAGE "org.apache.openwhisk.core.containerpool."

static void each_provider_of_stock_is_known_by_its_last_part(void **state)
{
    static const struct {
        const char *name;
        enum inv_log_store store;
    } CASES[] = {
        {PACKAGE "logging.DockerToActivationLogStoreProvider", INV_LOG_STORE_RECORD},
        {PACKAGE "logging.DockerToActivationFileLogStoreProvider", INV_LOG_STORE_FILE},
        {PACKAGE "logging.ElasticSearchLogStoreProvider", INV_LOG_STORE_FILE},
        {PACKAGE "logging.LogDriverLogStoreProvider", INV_LOG_STORE_DRIVER},
        {PACKAGE "logging.SplunkLogStoreProvider", INV_LOG_STORE_DRIVER},
        {PACKAGE "docker.DockerCliLogStoreProvider", INV_LOG_STORE_ENGINE},
        {"LogDriverLogStoreProvider", INV_LOG_STORE_DRIVER},
    };

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(CASES); i++) {
        enum inv_log_store store;

        assert_int_equal(inv_log_store_parse(CASES[i].name, &store, NULL), 0);
        assert_int_equal(store, CASES[i].store);
        assert_int_equal(inv_log_store_collects(CASES[i].name),
                         CASES[i].store != INV_LOG_STORE_DRIVER);
    }
}

static void another_provider_is_refused_by_name(void **state)
{
    static const char *const BAD[] = {"", "org.example.MyLogStoreProvider", "LogDriverLogStore",
                                      "XDockerToActivationLogStoreProvider",
                                      "DockerToActivationLogStoreProvider."};

    (void)state;
    for (size_t i = 0; i < CW_ARRAY_LEN(BAD); i++) {
        enum inv_log_store store;
        struct cw_err err = {0};

        assert_int_equal(inv_log_store_parse(BAD[i], &store, &err), -1);
        assert_int_equal(err.code, CW_INVALID);
        assert_non_null(strstr(err.msg, "whisk.spi.LogStoreProvider: \""));
        assert_non_null(strstr(err.msg, "DockerToActivationFile, "));
        assert_non_null(strstr(err.msg, "behind it"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_provider_of_stock_is_known_by_its_last_part),
        cmocka_unit_test(another_provider_is_refused_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
