/* err.h — one error type for the whole program; each value is also the exit status that main returns for it. */
#ifndef SS_ERR_H
#define SS_ERR_H

enum ss_err {
    SS_OK = 0,
    SS_USAGE = 1,        /* command line, configuration or input data is wrong */
    SS_CELLS = 2,        /* some cells failed; the others are saved */
    SS_REGRESSION = 3,   /* a comparison or claim check failed, and failing was asked for */
    SS_COUNTS = 4,       /* counters differ from cost() or between repetitions */
    SS_ENV = 5,          /* environment unusable: memory, disk, device, library */
    SS_RESULTS = 6,      /* results unreadable */
    SS_SKIP = 7,         /* inside the program only: this cell cannot run here, the reason is recorded */
    SS_INTERRUPTED = 130 /* SIGINT or SIGTERM; the sweep can be resumed */
};

#define SS_CHECKED __attribute__((warn_unused_result))
#define SS_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* SS_FAIL(code, fmt, ...): print one line (the thing, what is wrong, the remedy) with its place in the source, remember
   it for ss_last_error(), and return code from the enclosing function. SS_FAIL_OUT does the same by `goto out` after
   setting `err`. SS_TRY relays a callee's error without printing again; SS_TRY_OUT relays by `goto out`. */
#define SS_FAIL(code, ...) return ss_fail((code), __FILE__, __LINE__, __VA_ARGS__)
#define SS_FAIL_OUT(code, ...)                                                                                                 \
    do {                                                                                                                       \
        err = ss_fail((code), __FILE__, __LINE__, __VA_ARGS__);                                                                \
        goto out;                                                                                                              \
    } while (0)
#define SS_TRY(call)                                                                                                           \
    do {                                                                                                                       \
        enum ss_err try_err_ = (call);                                                                                         \
        if (try_err_ != SS_OK)                                                                                                 \
            return try_err_;                                                                                                   \
    } while (0)
#define SS_TRY_OUT(call)                                                                                                       \
    do {                                                                                                                       \
        err = (call);                                                                                                          \
        if (err != SS_OK)                                                                                                      \
            goto out;                                                                                                          \
    } while (0)
/* SS_REQUIRE(cond): a mistake of the caller, never of the data: prints and aborts, in release builds too. */
#define SS_REQUIRE(cond)                                                                                                       \
    do {                                                                                                                       \
        if (!(cond))                                                                                                           \
            ss_abort(__FILE__, __LINE__, #cond);                                                                               \
    } while (0)

#ifdef __cplusplus
extern "C" {
#endif
SS_CHECKED enum ss_err ss_fail(enum ss_err code, const char *file, int line, const char *fmt, ...) SS_PRINTF(4, 5);
__attribute__((noreturn)) void ss_abort(const char *file, int line, const char *what);
/* The message of this process's most recent SS_FAIL on any thread, "" if none. Valid until the next failure. */
const char *ss_last_error(void);
void ss_clear_error(void);
/* One line to stderr: "warning: ...". Names its cause and the flag that fixes it. Silent under ss_set_quiet(). */
void ss_warn(const char *fmt, ...) SS_PRINTF(1, 2);
/* One line to stderr, only when not quiet. */
void ss_note(const char *fmt, ...) SS_PRINTF(1, 2);
void ss_set_quiet(int quiet);
/* Errors are remembered but not printed while n > 0 (tests of bad input; child processes that report by pipe).
   Returns what was set before, for who is silent only for a while. */
int ss_set_error_silent(int silent);
#ifdef __cplusplus
}
#endif
#endif
