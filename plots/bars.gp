# bars.gp — groups of bars with 95% intervals, and across each bar a mark where a bound or the document's formula stands. Wants (-e)
# what style.gp names. Data: label, then value low high of each series, with marks value low high mark.
load home."style.gp"
stats datafile using 0 nooutput
log = strstrt(logaxes, "y") > 0
bottom = log ? least / 2.0 : 0
width = 0.82 / n
stride = marks > 0 ? 4 : 3
first(s) = stride * (s - 1) + 2
at(s) = (s - (n + 1) / 2.0) * width
style(s) = s <= words(styles) ? word(styles, s) + 0 : 0
y(s) = log && column(first(s)) <= 0 ? bottom : column(first(s))
bar_low(s) = valid(first(s) + 1) ? column(first(s) + 1) : y(s)
bar_high(s) = valid(first(s) + 2) ? column(first(s) + 2) : y(s)
bar_mark(s) = marks > 0 && valid(first(s) + 3) ? column(first(s) + 3) : NaN

set format y yformat
set xrange [-0.55 : STATS_records - 0.45]
if (log) { set yrange [bottom : most * 2] } else { set yrange [* < 0 : 0 < *] } # differences may be below zero
set xtics scale 0
set boxwidth width * 0.88
half = width * 0.44
# What an empty iteration would not leave out.
crossing = marks < 1 ? "" : ", for [s=1:n] datafile using ($0 + at(s) - half):(bar_mark(s)):(2 * half):(0) with vectors nohead " \
    ."lc rgb '#FFFFFF' lw 4.2 notitle, for [s=1:n] datafile using ($0 + at(s) - half):(bar_mark(s)):(2 * half):(0) with vectors nohead " \
    ."lc rgb '#222222' lw 1.8 notitle, keyentry with lines lc rgb '#222222' lw 1.8 title word(names, n + 1)"
do for [f in formats] {
    eval(terminal(f))
    set output stem.".".f
    plot for [s=1:n] datafile using ($0 + at(s)):(y(s)) with boxes ls style(s) lw 1 dt 1 \
             fs pattern fill(style(s)) border title word(names, s), \
         for [s=1:n] datafile using ($0 + at(s)):(bar_low(s)):(0):(bar_high(s) - bar_low(s)) with vectors nohead lc rgb "#FFFFFF" lw 3.4 notitle, \
         for [s=1:n] datafile using ($0 + at(s)):(bar_low(s)):(0):(bar_high(s) - bar_low(s)) with vectors nohead lc rgb "#333333" lw 1.4 notitle, \
         for [s=1:n] datafile using ($0 + at(s)):(y(s) * 1.01):(log && column(first(s)) == 0 ? "0" : "") \
             with labels font small textcolor rgb "#666666" offset 0, 0.5 notitle, \
         datafile using 0:(bottom):xtic(1) with dots lc rgb "#FFFFFF" notitle @crossing
    unset output
}
