/* clock.h — the monotonic clock, in the unit that the caller counts in. Its zero is arbitrary: only differences mean something.
 */
#ifndef SS_CLOCK_H
#define SS_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t ss_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline int64_t ss_now_ms(void)
{
    return (int64_t)(ss_now_ns() / 1000000);
}

static inline double ss_now(void) /* seconds */
{
    return 1e-9 * (double)ss_now_ns();
}
#endif
