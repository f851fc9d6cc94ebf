/* progress.c — one moving line, or one line per cell. */
#include "harness/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "harness/clock.h"

void ss_format_seconds(char *out, size_t size, double seconds)
{
    if (seconds < 9.95)
        snprintf(out, size, "%.1f s", seconds);
    else if (seconds < 90)
        snprintf(out, size, "%.0f s", seconds);
    else if (seconds < 3600)
        snprintf(out, size, "%d min %02d s", (int)seconds / 60, (int)seconds % 60);
    else
        snprintf(out, size, "%d h %02d min", (int)(seconds / 3600), (int)(seconds / 60) % 60);
}

void ss_format_bytes(char *out, size_t size, double bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t u = 0;
    for (; bytes >= 999.5 && u < 4; u++)
        bytes /= 1000;
    snprintf(out, size, u == 0 || bytes >= 99.95 ? "%.0f %s" : bytes >= 9.995 ? "%.1f %s" : "%.2f %s", bytes, units[u]);
}

static size_t terminal_width(void)
{
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : 80;
}

void ss_progress_clear(struct ss_progress *p)
{
    if (!p->drawn)
        return;
    fprintf(stderr, "\r%*s\r", (int)p->drawn, "");
    p->drawn = 0;
}

void ss_progress_tick(struct ss_progress *p)
{
    if (!p->terminal || p->verbosity < 0)
        return;
    enum { BAR = 16 };
    double spent = ss_now() - p->cell_start, left = p->cell_eta > spent ? p->cell_eta - spent : 0;
    double part = p->cell_eta > 0 ? spent / p->cell_eta : 0;
    if (part > 0.95) /* an estimate: a cell that is not finished never looks finished */
        part = 0.95;
    size_t filled = (size_t)((double)BAR * ((double)(p->i - 1) + part) / (double)p->n);
    char bar[BAR + 1], elapsed[32], eta[32], line[512];
    for (size_t i = 0; i < BAR; i++)
        bar[i] = i < filled ? '=' : i == filled ? '>' : ' ';
    bar[BAR] = '\0';
    ss_format_seconds(elapsed, sizeof elapsed, spent);
    ss_format_seconds(eta, sizeof eta, left + p->later_eta);
    int n = snprintf(line, sizeof line, "[%s] [%zu/%zu] %s  %s  ETA %s", bar, p->i, p->n, p->label, elapsed, eta);
    size_t width = terminal_width() - 1, len = n < 0 ? 0 : (size_t)n < sizeof line ? (size_t)n : sizeof line - 1;
    if (len > width) /* a wrapped line could not be overwritten */
        len = width;
    size_t pad = p->drawn > len ? p->drawn - len : 0;
    fprintf(stderr, "\r%.*s%*s", (int)len, line, (int)pad, "");
    fflush(stderr);
    p->drawn = len;
}

void ss_progress_begin(struct ss_progress *p, size_t i, const char *label, double cell_eta, double later_eta)
{
    p->i = i;
    snprintf(p->label, sizeof p->label, "%s", label);
    p->cell_start = ss_now();
    p->cell_eta = cell_eta;
    p->later_eta = later_eta;
    ss_progress_tick(p);
}

void ss_progress_say(struct ss_progress *p, const char *line)
{
    ss_progress_clear(p);
    fprintf(stderr, "%s\n", line);
    ss_progress_tick(p);
}

void ss_progress_end(struct ss_progress *p, enum ss_progress_tone tone, const char *text)
{
    static const char *const colors[] = {"\033[32m", "\033[33m", "\033[31m"};
    bool shown = tone == SS_TONE_BAD || (p->verbosity >= 0 && (!p->terminal || tone != SS_TONE_OK || p->verbosity > 0));
    ss_progress_clear(p);
    if (!shown)
        return;
    int digits = snprintf(NULL, 0, "%zu", p->n);
    fprintf(stderr, "[%*zu/%zu] %s  %s%s%s\n", digits, p->i, p->n, p->label, p->color ? colors[tone] : "", text,
            p->color ? "\033[0m" : "");
}
