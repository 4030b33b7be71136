/* cwhisk ROLE [options]: picks the role and runs it. */
#include <stdio.h>
#include <string.h>

#include "cmd/roles.h"
#include "common/base/mem.h"

static const struct role {
    const char *name;
    int (*run)(int argc, char **argv, char **environment);
    const char *help;
} ROLES[] = {
    {"invoker", role_invoker, "runs actions in containers on behalf of OpenWhisk controllers"},
    {"agent", role_agent, "watches what the containers of a host use, where no invoker runs"},
    {"probe", role_probe, "runs a program and tells what its container uses (cwhisk-probe)"},
    {"ctl", role_ctl, "asks a running invoker: containers, events, clean-up"},
};

static void usage(FILE *to)
{
    (void)fprintf(to, "usage: cwhisk ROLE [options]\n\nroles:\n");
    for (size_t i = 0; i < CW_ARRAY_LEN(ROLES); i++)
        (void)fprintf(to, "  %-12s %s\n", ROLES[i].name, ROLES[i].help);
    (void)fprintf(
        to,
        "\n`cwhisk ROLE --help` lists a role's options; `cwhisk --version` prints the version.\n");
}

int main(int argc, char **argv, char **environment)
{
    const char *role = argc > 1 ? argv[1] : "";

    if (strcmp(role, "--help") == 0 || strcmp(role, "-h") == 0) {
        usage(stdout);
        return 0;
    }
    if (strcmp(role, "--version") == 0) {
        (void)printf("cwhisk %s\n", CW_VERSION);
        return 0;
    }
    for (size_t i = 0; i < CW_ARRAY_LEN(ROLES); i++)
        if (strcmp(role, ROLES[i].name) == 0)
            return ROLES[i].run(argc - 1, argv + 1, environment);
    if (role[0])
        (void)fprintf(stderr, "cwhisk: unknown role \"%s\"\n", role);
    usage(stderr);
    return 2;
}
