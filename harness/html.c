/* html.c — REPORT.html: cmark-gfm's output with a stylesheet, pictures inside, verdicts coloured. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/report.h"

static const char head[] =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>ShardScale: the scaling analysis, checked</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>\n"
    ":root{--ink:#1a1a1a;--soft:#666;--rule:#ddd;--paper:#fff;--shade:#f6f6f4}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;padding:2rem 1.25rem 4rem;max-width:76rem;color:var(--ink);background:var(--paper);"
    "font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}\n"
    "h1{font-size:1.9rem;line-height:1.2;margin:0 0 1rem}\n"
    "h2{font-size:1.4rem;margin:3rem 0 .75rem;padding-top:1rem;border-top:1px solid var(--rule)}\n"
    "h3{font-size:1.15rem;margin:2.25rem 0 .5rem}\nh4{font-size:1rem;margin:2rem 0 .25rem}\n"
    "p,li{max-width:46rem}\na{color:#0062a3}\n"
    "code{font:.88em ui-monospace,'DejaVu Sans Mono',monospace;background:var(--shade);padding:.1em .3em;border-radius:3px}\n"
    ".table{overflow-x:auto;margin:.75rem 0 1.25rem;border:1px solid "
    "var(--rule);border-radius:4px;width:fit-content;max-width:100%}\n"
    "table{width:max-content;border-collapse:separate;border-spacing:0;font-size:.8rem;line-height:1.4;font-variant-numeric:"
    "tabular-nums}\n"
    "th{text-align:left;background:var(--shade);vertical-align:bottom;font-weight:600}\n"
    "th,td{padding:.35rem .65rem;border-bottom:1px solid var(--rule)}\ntr:last-child td{border-bottom:0}\n"
    "th{max-width:7rem}td{vertical-align:top;min-width:3.5rem;max-width:22rem;overflow-wrap:break-word}\n"
    "td:first-child,th:first-child{position:sticky;left:0;background:var(--paper);white-space:nowrap}\n"
    "th:first-child{background:var(--shade)}\n"
    "td[align=right],th[align=right]{text-align:right;white-space:nowrap}\nth[align=right]{white-space:normal}\n"
    ".claims{width:100%;min-width:66rem}.claims td:last-child{min-width:20rem}\n"
    "td.v{white-space:nowrap;font-weight:600}\ntd.ok{color:#00664a}\ntd.no{color:#b04000}\ntd.open{color:var(--soft);font-"
    "weight:400}\n"
    "img{display:block;width:100%;max-width:40rem;height:auto;margin:1rem 0 .25rem}\n"
    "@media (max-width:600px){body{padding:1rem .75rem "
    "3rem;font-size:15px}table{font-size:.75rem}td{max-width:9.5rem}th,td{padding:.3rem .45rem}}\n"
    "@media "
    "print{body{max-width:none}.table{overflow:visible}table{width:auto}td:first-child,th:first-child{position:static}}\n"
    "</style>\n</head>\n<body>\n";

/* The file of a picture as a data: URI. */
static enum ss_err add_picture(struct ss_text *out, const char *path, size_t len, const char *results_dir)
{
    char file[2048];
    struct ss_text picture = {0};
    snprintf(file, sizeof file, "%s/%.*s", results_dir, (int)len, path);
    enum ss_err err = ss_text_read(&picture, file);
    if (err == SS_OK) {
        ss_text_add(out, "data:image/svg+xml;base64,");
        ss_text_base64(out, ss_text_str(&picture), picture.n);
    }
    ss_text_free(&picture);
    return err;
}

/* Replaced pieces of cmark-gfm's output, in the order of their occurrence. */
static const struct {
    const char *from, *to;
} pieces[] = {
    {"<table>\n<thead>\n<tr>\n<th>id</th>",
     "<div class=\"table\" tabindex=\"0\"><table class=\"claims\">\n<thead>\n<tr>\n<th>id</th>"},
    {"<table>", "<div class=\"table\" tabindex=\"0\"><table>"},
    {"</table>", "</table></div>"},
    {"<td>CONFIRMED</td>", "<td class=\"v ok\">CONFIRMED</td>"},
    {"<td>REFUTED</td>", "<td class=\"v no\">REFUTED</td>"},
    {"<td>FORMULA-ERROR</td>", "<td class=\"v no\">FORMULA-ERROR</td>"},
    {"<td>WITHIN-NOISE</td>", "<td class=\"v open\">WITHIN-NOISE</td>"},
    {"<td>PROJECTION-ONLY</td>", "<td class=\"v open\">PROJECTION-ONLY</td>"},
    {"<td>NOT-TESTABLE-HERE</td>", "<td class=\"v open\">NOT-TESTABLE-HERE</td>"},
    {"<td>not measured yet</td>", "<td class=\"v open\">not measured yet</td>"},
};

static enum ss_err transform(struct ss_text *out, const char *html, const char *results_dir)
{
    static const char image[] = "<img src=\"";
    for (const char *p = html; *p;) {
        size_t plain = strcspn(p, "<");
        ss_text_append(out, p, plain);
        p += plain;
        size_t i = 0;
        while (i < sizeof pieces / sizeof pieces[0] && strncmp(p, pieces[i].from, strlen(pieces[i].from)) != 0)
            i++;
        if (i < sizeof pieces / sizeof pieces[0]) {
            ss_text_add(out, "%s", pieces[i].to);
            p += strlen(pieces[i].from);
        } else if (strncmp(p, image, sizeof image - 1) == 0) {
            p += sizeof image - 1;
            size_t len = strcspn(p, "\"");
            ss_text_append(out, image, sizeof image - 1);
            SS_TRY(add_picture(out, p, len, results_dir));
            p += len;
        } else if (*p) {
            ss_text_append(out, p++, 1);
        }
    }
    return SS_OK;
}

enum ss_err ss_report_html(struct ss_text *out, const char *markdown, const char *results_dir)
{
    static const char *const argv[] = {"cmark-gfm", "--unsafe", "--extension", "table", NULL};
    struct ss_text in = {0}, html = {0};
    ss_text_append(&in, markdown, strlen(markdown));
    enum ss_err err = ss_program_run(&html, argv, "cmark-gfm", &in, NULL);
    ss_text_append(out, head, sizeof head - 1);
    if (err == SS_OK)
        err = transform(out, ss_text_str(&html), results_dir);
    ss_text_add(out, "</body>\n</html>\n");
    ss_text_free(&in);
    ss_text_free(&html);
    return err;
}
