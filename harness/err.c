/* err.c — printing and remembering the one message of a failure. */
#include "harness/err.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char last[1024];
static int quiet, silent;

/* A message may quote its input: control characters in it would end the line or reach the terminal. */
static void one_line(char *message)
{
    for (unsigned char *c = (unsigned char *)message; *c; c++)
        if (*c < ' ' || *c == 127)
            *c = '?';
}

enum ss_err ss_fail(enum ss_err code, const char *file, int line, const char *fmt, ...)
{
    char message[sizeof last];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    one_line(message);
    pthread_mutex_lock(&lock);
    memcpy(last, message, sizeof last);
    if (!silent)
        fprintf(stderr, "error: %s [%s:%d]\n", message, file, line);
    pthread_mutex_unlock(&lock);
    return code;
}

void ss_abort(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: broken requirement: %s\n", file, line, what);
    abort();
}

const char *ss_last_error(void)
{
    static _Thread_local char copy[sizeof last];
    pthread_mutex_lock(&lock);
    memcpy(copy, last, sizeof last);
    pthread_mutex_unlock(&lock);
    return copy;
}

void ss_clear_error(void)
{
    pthread_mutex_lock(&lock);
    last[0] = '\0';
    pthread_mutex_unlock(&lock);
}

static void say(const char *head, const char *fmt, va_list args)
{
    if (quiet)
        return;
    char message[sizeof last];
    vsnprintf(message, sizeof message, fmt, args);
    fprintf(stderr, "%s%s\n", head, message);
}

void ss_warn(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say("warning: ", fmt, args);
    va_end(args);
}

void ss_note(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say("", fmt, args);
    va_end(args);
}

void ss_set_quiet(int q)
{
    quiet = q;
}

int ss_set_error_silent(int s)
{
    const int before = silent;
    silent = s;
    return before;
}
