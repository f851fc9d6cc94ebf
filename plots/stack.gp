# stack.gp — one bar per cell, made of parts, in groups. Wants (-e) what style.gp names, and shares (1: each bar is 100 high, its sum
# stands above it). Data: a block of place, variant, sum in words, then one value per part; a block of the groups' place and label.
load home."style.gp"
stats datafile index 0 using 1 nooutput
style(s) = s <= words(styles) ? word(styles, s) + 0 : 0
part(k) = valid(k) ? column(k) : 0
upto(s) = s < 1 ? 0 : sum [k = 4 : s + 3] part(k)

set format y yformat
if (shares) set format y "%g"; set ytics 0, 20, 100
set xrange [STATS_min - 0.8 : STATS_max + 0.8]
set yrange [0 : *]
if (shares) set yrange [0 : 150]
set xtics scale 0 rotate by 90 right
do for [f in formats] {
    eval(terminal(f))
    set output stem.".".f
    set xtics font small
    unit = f eq "svg" ? 0.78 : 1 # heights of a line differ
    set bmargin 6.4 * unit
    set xlabel offset 0, -2.4 * unit
    plot for [i=1:n] datafile index 0 using 1:(upto(i)):($1 - 0.4):($1 + 0.4):(upto(i - 1)):(upto(i)):xtic(2) with boxxyerror ls style(i) dt 1 \
             fs pattern fill(style(i)) border lc rgb "#333333" notitle, \
         for [i=1:n] keyentry with boxes ls style(i) dt 1 fs pattern fill(style(i)) border lc rgb "#333333" title word(names, i), \
         datafile index 0 using 1:(upto(n)):(shares ? strcol(3) : "") with labels font small textcolor rgb "#333333" left rotate by 90 offset 0, 0.4 notitle, \
         datafile index 1 using 1:(0):2 with labels font small textcolor rgb "#111111" center offset 0, -4.4 * unit notitle
    unset output
}
