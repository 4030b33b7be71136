#include "invoker/providers.h"

#include <stddef.h>
#include <string.h>

#include "common/base/err.h"
#include "invoker/settings.h"

static const struct {
    const char *key;
    size_t offset;
    const char *accepted;
    const char *otherwise; /* what to do instead */
} PROVIDERS[] = {
    {"InvokerProvider", offsetof(struct inv_settings, invoker_provider), "InvokerReactive",
     "; on the controllers set whisk.spi.LoadBalancerProvider and EntitlementSpiProvider to those "
     "of the sharding balancer"},
    {"InvokerServerProvider", offsetof(struct inv_settings, invoker_server_provider),
     "DefaultInvokerServer", ""},
    {"MessagingProvider", offsetof(struct inv_settings, messaging_provider),
     "KafkaMessagingProvider", ""},
    {"ContainerFactoryProvider", offsetof(struct inv_settings, container_factory_provider),
     "DockerContainerFactoryProvider", ""},
    {"ArtifactStoreProvider", offsetof(struct inv_settings, artifact_store_provider),
     "CouchDbStoreProvider", ""},
    {"AttachmentStoreProvider", offsetof(struct inv_settings, attachment_store_provider), "none",
     " (attachments are read from CouchDB)"},
    {"ActivationStoreProvider", offsetof(struct inv_settings, activation_store_provider),
     "ArtifactActivationStoreProvider", ""},
};

int inv_providers_check(const struct inv_settings *s, struct cw_err *err)
{
    for (size_t i = 0; i < CW_ARRAY_LEN(PROVIDERS); i++) {
        char *const *field = (char *const *)(const void *)((const char *)s + PROVIDERS[i].offset);
        const char *dot = *field ? strrchr(*field, '.') : NULL;
        const char *last = dot ? dot + 1 : *field;

        if (last && last[0] && strcmp(last, PROVIDERS[i].accepted) != 0)
            return cw_fail(err, CW_INVALID,
                           "whisk.spi.%s: \"%.50s\" is not supported; accepted: %s%s",
                           PROVIDERS[i].key, last, PROVIDERS[i].accepted, PROVIDERS[i].otherwise);
    }
    return 0;
}
