/* html.c — REPORT.html: cmark-gfm's output with a stylesheet, contents, pictures inside, verdicts coloured and each claim with
   a link of its own. No script: verdicts are chosen by the style sheet. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/report.h"

static const char head[] =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>ShardScale: the scaling analysis, checked</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>\n"
    ":root{--ink:#1a1a1a;--soft:#666;--rule:#ddd;--paper:#fff;--shade:#f6f6f4;--link:#0062a3;--ok:#00664a;--no:#b04000}\n"
    "@media screen and (prefers-color-scheme:dark){:root{color-scheme:dark;--ink:#e6e6e6;--soft:#a5a5a5;--rule:#3d3d3d;"
    "--paper:#161616;--shade:#232323;--link:#7cc0f5;--ok:#5fd3ab;--no:#ff9a66}img{border-radius:4px}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;padding:2rem 1.25rem 4rem;max-width:76rem;color:var(--ink);background:var(--paper);"
    "font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}\n"
    "h1{font-size:1.9rem;line-height:1.2;margin:0 0 1rem}\n"
    "h2{font-size:1.4rem;margin:3rem 0 .75rem;padding-top:1rem;border-top:1px solid var(--rule)}\n"
    "h3{font-size:1.15rem;margin:2.25rem 0 .5rem}\nh4{font-size:1rem;margin:2rem 0 .25rem}\n"
    "p,li{max-width:46rem}\na{color:var(--link)}\n"
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
    "td.v{white-space:nowrap;font-weight:600}\ntd.ok{color:var(--ok)}\ntd.no{color:var(--no)}\ntd.open{color:var(--soft);font-"
    "weight:400}\n"
    "nav{font-size:.85rem;line-height:1.5;columns:19rem;column-gap:2rem;margin:1rem 0}\n"
    "nav ul{list-style:none;margin:0;padding:0}nav li{break-inside:avoid;max-width:none}nav li.sub{padding-left:1.2rem}\n"
    "nav a{text-decoration:none}nav a:hover,nav a:focus{text-decoration:underline}\n"
    ".choose{position:sticky;top:0;z-index:2;background:var(--paper);border:0;border-bottom:1px solid var(--rule);margin:0;"
    "padding:.45rem 0;font-size:.8rem}\n.choose legend{float:left;padding:0;margin-right:.8rem;color:var(--soft)}\n"
    ".choose label{white-space:nowrap;margin-right:.8rem}\n"
    "body:has(#v-confirmed:checked) .claims tbody tr:not(:has(.confirmed)),"
    "body:has(#v-refuted:checked) .claims tbody tr:not(:has(.refuted)),"
    "body:has(#v-formula:checked) .claims tbody tr:not(:has(.formula)),"
    "body:has(#v-open:checked) .claims tbody tr:not(:has(.open)){display:none}\n"
    "h2,h3,tr[id]{scroll-margin-top:4.5rem}tr:target td{background:var(--shade)}\n"
    "td a.id{color:inherit;text-decoration:none}td a.id:hover{text-decoration:underline}\n"
    "img{display:block;width:100%;max-width:40rem;height:auto;margin:1rem 0 .25rem}\n"
    "@media (max-width:600px){body{padding:1rem .75rem "
    "3rem;font-size:15px}table{font-size:.75rem}td{max-width:9.5rem}th,td{padding:.3rem .45rem}}\n"
    "@media "
    "print{@page{size:A4 landscape;margin:12mm}body{max-width:none;padding:0;font-size:11px}.choose{display:none}"
    ".table{overflow:visible;border:0}table{width:auto;font-size:7.5px}.claims{min-width:0}td{min-width:0}"
    "td:first-child,th:first-child{position:static}tr,img{break-inside:avoid}h2,h3,h4{break-after:avoid}img{max-width:13cm}}\n"
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
    {"<td>CONFIRMED</td>", "<td class=\"v ok confirmed\">CONFIRMED</td>"},
    {"<td>REFUTED</td>", "<td class=\"v no refuted\">REFUTED</td>"},
    {"<td>FORMULA-ERROR</td>", "<td class=\"v no formula\">FORMULA-ERROR</td>"},
    {"<td>WITHIN-NOISE</td>", "<td class=\"v open\">WITHIN-NOISE</td>"},
    {"<td>PROJECTION-ONLY</td>", "<td class=\"v open\">PROJECTION-ONLY</td>"},
    {"<td>NOT-TESTABLE-HERE</td>", "<td class=\"v open\">NOT-TESTABLE-HERE</td>"},
    {"<td>not measured yet</td>", "<td class=\"v open\">not measured yet</td>"},
};

/* "sec-2.5" of "2.5 V3-OT (oblivious transfer)", "sec-2" of "2. Variants"; else the words: "warnings", "appendix-a". */
static void anchor_of(char *out, size_t size, const char *heading)
{
    const size_t numbered = isdigit((unsigned char)*heading) ? strspn(heading, "0123456789.") : 0;
    const size_t n = numbered ? numbered - (heading[numbered - 1] == '.') : strcspn(heading, ":?<");
    snprintf(out, size, "%s%.*s", numbered ? "sec-" : "", (int)n, heading);
    for (char *p = out; *p; p++)
        *p = isalnum((unsigned char)*p) || *p == '.' ? (char)tolower((unsigned char)*p) : '-';
}

static bool begins(const char *p, const char *with)
{
    return strncmp(p, with, strlen(with)) == 0;
}

/* Contents of all headings but the title, and the choice of verdicts. */
static void contents(struct ss_text *out, const char *html)
{
    char anchor[96];
    ss_text_add(out, "<nav aria-label=\"contents\"><ul>\n");
    for (const char *p = strchr(html, '<'); p; p = strchr(p + 1, '<')) {
        if (!begins(p, "<h2>") && !begins(p, "<h3>"))
            continue;
        const char *text = p + 4;
        anchor_of(anchor, sizeof anchor, text);
        ss_text_add(out, "<li%s><a href=\"#%s\">%.*s</a></li>\n", p[2] == '3' ? " class=\"sub\"" : "", anchor,
                    (int)strcspn(text, "<"), text);
    }
    ss_text_add(out, "</ul></nav>\n<fieldset class=\"choose\"><legend>claims shown</legend>");
    static const char *const choices[][2] = {{"all", "all"},
                                             {"confirmed", "confirmed"},
                                             {"refuted", "refuted"},
                                             {"formula", "formula error"},
                                             {"open", "undecided"}};
    for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++)
        ss_text_add(out, "<label><input type=\"radio\" name=\"v\" id=\"v-%s\"%s> %s</label> ", choices[i][0],
                    i == 0 ? " checked" : "", choices[i][1]);
    ss_text_add(out, "</fieldset>\n");
}

/* A heading or the first cell of a claim, given an id to link to; returns what was taken of p. */
static size_t add_anchor(struct ss_text *out, const char *p)
{
    char anchor[96];
    if (begins(p, "<h2>") || begins(p, "<h3>")) {
        anchor_of(anchor, sizeof anchor, p + 4);
        ss_text_add(out, "<h%c id=\"%s\">", p[2], anchor);
        return 4;
    }
    static const char row[] = "<tr>\n<td>s";
    const size_t id = sizeof row - 2, n = strcspn(p + id, "<");
    if (!begins(p, row) || !strchr("0123456789AB", p[id + 1]) || !memchr(p + id, '-', n))
        return 0;
    ss_text_add(out, "<tr id=\"%.*s\">\n<td><a class=\"id\" href=\"#%.*s\">%.*s</a>", (int)n, p + id, (int)n, p + id, (int)n,
                p + id);
    return id + n;
}

static enum ss_err transform(struct ss_text *out, const char *html, const char *results_dir)
{
    static const char image[] = "<img src=\"";
    for (const char *p = html; *p;) {
        size_t plain = strcspn(p, "<");
        ss_text_append(out, p, plain);
        p += plain;
        const size_t anchored = add_anchor(out, p);
        p += anchored;
        if (anchored)
            continue;
        if (begins(p, "</h1>")) {
            ss_text_add(out, "</h1>\n");
            contents(out, html);
            p += sizeof "</h1>" - 1;
            continue;
        }
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
