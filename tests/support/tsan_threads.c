/* C11 threads for programs under the thread sanitizer: gcc 12's knows POSIX threads only, and ends
 * with a segmentation fault in threads that librdkafka began with thrd_create. Linked into the
 * program, these stand before glibc's. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

struct begin {
    thrd_start_t fn;
    void *arg;
};

static void *run(void *arg)
{
    struct begin begin = *(struct begin *)arg;

    free(arg);
    return (void *)(intptr_t)begin.fn(begin.arg);
}

int thrd_create(thrd_t *thread, thrd_start_t fn, void *arg)
{
    struct begin *begin = malloc(sizeof(*begin));
    int failed;

    if (!begin)
        return thrd_nomem;
    *begin = (struct begin){fn, arg};
    failed = pthread_create(thread, NULL, run, begin);
    if (failed)
        free(begin);
    return failed == 0 ? thrd_success : failed == EAGAIN ? thrd_nomem : thrd_error;
}

int thrd_join(thrd_t thread, int *result)
{
    void *value;

    if (pthread_join(thread, &value) != 0)
        return thrd_error;
    if (result)
        *result = (int)(intptr_t)value;
    return thrd_success;
}

int thrd_detach(thrd_t thread)
{
    return pthread_detach(thread) == 0 ? thrd_success : thrd_error;
}
