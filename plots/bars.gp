# bars.gp — groups of bars with 95% intervals. Wants (-e): home, datafile, stem, figtitle, xtext, ytext, logaxes, names, styles,
# n (series), least and most (positive values), yformat. Data: label, then value low high of each series.
load home."style.gp"
stats datafile using 0 nooutput
log = strstrt(logaxes, "y") > 0
bottom = log ? least / 4.0 : 0
width = 0.82 / n
at(s) = (s - (n + 1) / 2.0) * width
style(s) = word(styles, s) + 0
y(s) = log && column(3 * s - 1) <= 0 ? bottom : column(3 * s - 1)
bar_low(s) = valid(3 * s) ? column(3 * s) : y(s)
bar_high(s) = valid(3 * s + 1) ? column(3 * s + 1) : y(s)

set format y yformat
set xrange [-0.55 : STATS_records - 0.45]
if (log) { set yrange [bottom : *] } else { set yrange [* < 0 : 0 < *] } # differences may be below zero
set xtics scale 0
set boxwidth width * 0.88
do for [f in formats] {
    eval(terminal(f))
    set output stem.".".f
    plot for [s=1:n] datafile using ($0 + at(s)):(y(s)) with boxes ls style(s) lw 1 dt 1 \
             fs pattern fill(style(s)) border title word(names, s), \
         for [s=1:n] datafile using ($0 + at(s)):(bar_low(s)):(0):(bar_high(s) - bar_low(s)) with vectors nohead lc rgb "#333333" lw 1.4 notitle, \
         for [s=1:n] datafile using ($0 + at(s)):(y(s) * 1.01):(log && column(3 * s - 1) == 0 ? "0" : "") \
             with labels font small textcolor rgb "#666666" offset 0, 0.5 notitle, \
         datafile using 0:(bottom):xtic(1) with dots lc rgb "#FFFFFF" notitle
    unset output
}
