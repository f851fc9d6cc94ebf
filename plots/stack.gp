# stack.gp — one bar per cell, made of parts. Wants (-e): home, datafile, stem, figtitle, xtext, ytext, logaxes, names, styles,
# n (parts), yformat. Data: label, then one value per part.
load home."style.gp"
stats datafile using 0 nooutput
style(s) = word(styles, s) + 0
part(k) = valid(k) ? column(k) : 0
upto(s) = sum [k = 2 : s + 1] part(k)

set format y yformat
set xrange [-0.6 : STATS_records - 0.4]
set yrange [0 : *]
set rmargin 3
set xtics scale 0 rotate by 35 right
set boxwidth 0.72
do for [f in formats] {
    eval(terminal(f))
    set output stem.".".f
    # From the tallest sum down, so that each part paints over those below it.
    plot for [i=1:n] datafile using 0:(upto(n + 1 - i)) with boxes lc rgb "#FFFFFF" fs solid 1 noborder notitle, \
         for [i=1:n] datafile using 0:(upto(n + 1 - i)):xtic(1) with boxes ls style(n + 1 - i) dt 1 fs pattern fill(style(n + 1 - i)) \
             noborder notitle, \
         for [i=1:n] keyentry with boxes ls style(i) dt 1 fs pattern fill(style(i)) border lc rgb "#333333" title word(names, i), \
         for [i=1:n] datafile using 0:(upto(i)) with boxes lc rgb "#333333" lw 0.6 fs empty border lc rgb "#333333" notitle
    unset output
}
