/* usage_tool ROOT: makes a control group like a container's below ROOT (either version), lets a
 * process in it do known things, and asks usage.h what it did. Ends with 0 when that is right. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/cgroup/usage.h"

enum {
    BURN_MS = 300,
    HELD_MS = 40, /* at 2 % of a core */
    LAG_MS = 60,  /* what the kernel may not have added yet, and the way into the group */
    MIB = 1 << 20,
    MEMORY = 24 * MIB,
    SLACK = 6 * MIB,
    LIMIT = 40 * MIB,
    TRIES = 3000,
    PAUSE_US = 10000,
    SKIPPED = 77, /* exit status: groups cannot be made here */
};

#define LIMIT_TEXT "41943040" /* LIMIT */

static const char *const CONTROLLERS[] = {"cpu", "cpuacct", "memory", "blkio", "pids"};

struct bed {
    const char *root;
    char id[65];
    bool v1;
    pid_t child;
    int orders, answers; /* pipes to and from the child */
};

static void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
static void die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)fputs("usage_tool: ", stderr);
    (void)vfprintf(stderr, fmt, ap);
    (void)fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

static void check(bool right, const char *what, uint64_t got, uint64_t least, uint64_t most)
{
    if (!right)
        die("%s: %" PRIu64 ", expected %" PRIu64 "..%" PRIu64, what, got, least, most);
    (void)printf("%s: %" PRIu64 "\n", what, got);
}

static void check_between(const char *what, uint64_t got, uint64_t least, uint64_t most)
{
    check(got >= least && got <= most, what, got, least, most);
}

/* ---- the group ---- */

static void path_of(const struct bed *b, const char *controller, const char *file,
                    char path[PATH_MAX])
{
    (void)snprintf(path, PATH_MAX, "%s%s%s/docker/%s%s%s", b->root, b->v1 ? "/" : "",
                   b->v1 ? controller : "", b->id, file ? "/" : "", file ? file : "");
}

static int write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC), rc;

    if (fd < 0)
        return -1;
    rc = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
    (void)close(fd);
    return rc;
}

static void set(const struct bed *b, const char *controller, const char *file, const char *text)
{
    char path[PATH_MAX];

    path_of(b, controller, file, path);
    if (write_text(path, text) != 0)
        die("%s: %s", path, strerror(errno));
}

/* Version 2: controllers have to be handed down. */
static void make_folder(const char *parent, const char *id, bool v1)
{
    static const char *const ENABLE[] = {"+cpu", "+memory", "+io", "+pids"};
    char path[PATH_MAX + 128];

    (void)mkdir(parent, 0755); /* if it is not there */
    (void)snprintf(path, sizeof(path), "%s/cgroup.subtree_control", parent);
    for (size_t i = 0; i < CW_ARRAY_LEN(ENABLE) && !v1; i++)
        if (write_text(path, ENABLE[i]) != 0)
            die("%s: %s: %s", path, ENABLE[i], strerror(errno));
    (void)snprintf(path, sizeof(path), "%s/%s", parent, id);
    if (mkdir(path, 0755) == 0)
        return;
    (void)fprintf(stderr, "usage_tool: %s: %s\n", path, strerror(errno));
    exit(errno == EACCES || errno == EROFS || errno == EPERM ? SKIPPED : 1);
}

static bool is_version_1(const char *root)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/memory", root);
    return access(path, F_OK) == 0;
}

static void make_group(struct bed *b)
{
    char parent[PATH_MAX];

    for (size_t i = 0; i < CW_ARRAY_LEN(CONTROLLERS); i++) {
        (void)snprintf(parent, sizeof(parent), "%s%s%s/docker", b->root, b->v1 ? "/" : "",
                       b->v1 ? CONTROLLERS[i] : "");
        make_folder(parent, b->id, b->v1);
        if (!b->v1)
            break;
    }
    if (b->v1) {
        set(b, "memory", "memory.limit_in_bytes", LIMIT_TEXT);
        path_of(b, "memory", "memory.memsw.limit_in_bytes", parent);
    } else {
        set(b, NULL, "memory.max", LIMIT_TEXT);
        path_of(b, NULL, "memory.swap.max", parent);
    }
    (void)write_text(parent, b->v1 ? LIMIT_TEXT : "0"); /* not there without swap */
}

static void enter(const struct bed *b)
{
    for (size_t i = 0; i < CW_ARRAY_LEN(CONTROLLERS); i++) {
        set(b, CONTROLLERS[i], "cgroup.procs", "0");
        if (!b->v1)
            break;
    }
}

static void remove_group(const struct bed *b)
{
    char path[PATH_MAX];

    for (size_t i = 0; i < CW_ARRAY_LEN(CONTROLLERS); i++) {
        path_of(b, CONTROLLERS[i], NULL, path);
        for (int n = 0; rmdir(path) != 0 && errno == EBUSY && n < TRIES; n++)
            (void)usleep(PAUSE_US);
        if (!b->v1)
            break;
    }
}

/* ---- the process in it ---- */

static uint64_t cpu_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void burn(unsigned ms)
{
    uint64_t until = cpu_ns() + (uint64_t)ms * 1000000;

    while (cpu_ns() < until)
        ;
}

static void *take(size_t bytes)
{
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p != MAP_FAILED)
        memset(p, 1, bytes);
    return p;
}

static void work(const struct bed *b, int orders, int answers)
{
    void *memory = NULL;
    char order;

    enter(b);
    (void)!write(answers, "!", 1);
    while (read(orders, &order, 1) == 1) {
        if (order == 'b')
            burn(BURN_MS);
        else if (order == 't')
            burn(HELD_MS);
        else if (order == 'm')
            memory = take(MEMORY);
        else if (order == 'f')
            (void)munmap(memory, MEMORY);
        else if (order == 'k')
            (void)take((size_t)2 * LIMIT); /* the kernel ends it here */
        (void)!write(answers, "!", 1);
    }
    _exit(0);
}

static void start_child(struct bed *b)
{
    int to[2], from[2];

    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0)
        die("pipe: %s", strerror(errno));
    b->child = fork();
    if (b->child == 0) {
        (void)close(to[1]);
        (void)close(from[0]);
        work(b, to[0], from[1]);
    }
    (void)close(to[0]);
    (void)close(from[1]);
    b->orders = to[1];
    b->answers = from[0];
}

/* false: it has ended. */
static bool done(const struct bed *b)
{
    char answer;

    return read(b->answers, &answer, 1) == 1;
}

static void tell(const struct bed *b, char order)
{
    if (write(b->orders, &order, 1) != 1 || !done(b))
        die("the process ended at order %c", order);
}

/* ---- what is right ---- */

static struct cw_usage look(struct cw_usage_group *g)
{
    struct cw_err err = {0};
    struct cw_usage u;

    if (cw_usage_sample(g, CW_USAGE_ALL, &u, &err) != 0)
        die("%s", err.msg);
    return u;
}

static void check_parts(const struct bed *b, struct cw_usage_source *s, const struct cw_usage *u)
{
    uint32_t missing = CW_USAGE_ALL & ~u->have & ~(b->v1 ? (uint32_t)CW_USAGE_CPU_SPLIT : 0);
    struct cw_err err;

    while (cw_usage_next_fault(s, &err))
        (void)fprintf(stderr, "usage_tool: %s\n", err.msg);
    check(missing == 0, "parts that are missing", missing, 0, 0);
}

static void check_cpu(const struct bed *b, struct cw_usage_group *g)
{
    struct cw_usage before = look(g), after;
    uint64_t ns;

    tell(b, 'b');
    after = look(g);
    ns = cw_usage_since(after.cpu_ns, before.cpu_ns);
    check_between("cpu ns", ns, (BURN_MS - LAG_MS) * UINT64_C(1000000),
                  (BURN_MS + LAG_MS) * UINT64_C(1000000));
    if (after.have & CW_USAGE_CPU_SPLIT)
        check_between("user and system ns", after.user_ns + after.system_ns,
                      after.cpu_ns - after.cpu_ns / 10, after.cpu_ns + after.cpu_ns / 10);
    check_between("throttled ns without quota", after.throttled_ns, 0, 0);
}

static void check_memory(const struct bed *b, struct cw_usage_group *g)
{
    struct cw_usage before = look(g), with, after;
    bool reset;

    tell(b, 'm');
    with = look(g);
    check_between("memory more", cw_usage_since(with.memory_bytes, before.memory_bytes),
                  MEMORY - MIB, MEMORY + SLACK);
    check_between("working set more",
                  cw_usage_since(with.working_set_bytes, before.working_set_bytes), MEMORY - MIB,
                  MEMORY + SLACK);
    check_between("anonymous more", cw_usage_since(with.anon_bytes, before.anon_bytes),
                  MEMORY - MIB, MEMORY + SLACK);
    check_between("peak", with.peak_bytes, MEMORY, LIMIT);
    tell(b, 'f');
    reset = cw_usage_reset_peak(g);
    after = look(g);
    check(!b->v1 || reset, "the peak begins anew", reset, 1, 1);
    check_between("working set afterwards", after.working_set_bytes, 1, SLACK + MIB);
    check_between("peak afterwards", after.peak_bytes, reset ? 1 : MEMORY,
                  reset ? MEMORY / 2 : LIMIT);
    check_between("pids", after.pids, 1, 1);
}

static void check_throttling(const struct bed *b, struct cw_usage_group *g)
{
    struct cw_usage u;

    if (b->v1)
        set(b, "cpu", "cpu.cfs_quota_us", "2000");
    else
        set(b, NULL, "cpu.max", "2000 100000");
    tell(b, 't');
    if (b->v1)
        set(b, "cpu", "cpu.cfs_quota_us", "-1");
    else
        set(b, NULL, "cpu.max", "max 100000");
    u = look(g);
    check_between("throttled ns", u.throttled_ns, 1, UINT64_C(60000000000));
    check_between("throttled periods", u.throttled_periods, 1, u.periods);
}

static void check_kill_and_end(const struct bed *b, struct cw_usage_group *g)
{
    struct cw_err err = {0};
    struct cw_usage u;
    int status;

    check_between("kills before", look(g).oom_kills, 0, 0);
    if (write(b->orders, "k", 1) != 1 || done(b))
        die("the process outlived its limit");
    (void)waitpid(b->child, &status, 0);
    check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "killed", (uint64_t)status, 9, 9);
    check_between("kills", look(g).oom_kills, 1, 1);
    remove_group(b);
    if (cw_usage_sample(g, CW_USAGE_HOT, &u, &err) == 0 || err.code != CW_NOT_FOUND)
        die("the group is gone, but a sample succeeds");
    (void)printf("%s\n", err.msg);
}

static void check_host(struct cw_usage_source *s)
{
    struct cw_usage_host h;

    cw_usage_sample_host(s, CW_HOST_ALL, &h);
    check((h.have & (CW_HOST_CPU | CW_HOST_MEMORY)) == (CW_HOST_CPU | CW_HOST_MEMORY), "host parts",
          h.have, CW_HOST_CPU | CW_HOST_MEMORY, CW_HOST_ALL);
    check((h.have == CW_HOST_ALL) == (access("/proc/pressure/cpu", R_OK) == 0), "pressure", h.have,
          0, CW_HOST_ALL);
}

/* Its end takes the process in the group with it. */
static void run(struct bed *b)
{
    struct cw_usage_source *s = cw_usage_source_new(b->root, "/proc", NULL);
    struct cw_usage_group *g;
    struct cw_usage first;
    struct cw_err err = {0};

    make_group(b);
    start_child(b);
    if (!done(b))
        die("the process could not enter the group");
    g = cw_usage_open(s, b->id, CW_USAGE_HOT, &err);
    if (!g)
        die("%s", err.msg);
    first = look(g);
    check_parts(b, s, &first);
    check_cpu(b, g);
    check_memory(b, g);
    check_throttling(b, g);
    check_kill_and_end(b, g);
    check_host(s);
    cw_usage_close(g);
    cw_usage_source_free(s);
    exit(0);
}

int main(int argc, char **argv)
{
    struct bed b = {.root = argc == 2 ? argv[1] : ""};
    pid_t pid;
    int status;

    if (argc != 2) {
        (void)fprintf(stderr, "usage: usage_tool ROOT\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)snprintf(b.id, sizeof(b.id), "%064llx", (unsigned long long)getpid());
    b.v1 = is_version_1(b.root);
    pid = fork();
    if (pid == 0)
        run(&b);
    (void)waitpid(pid, &status, 0);
    remove_group(&b); /* if it is still there */
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
