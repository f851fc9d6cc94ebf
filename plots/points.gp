# points.gp — one marker per cell with its 95% interval and the model's name, those of a series joined by a thin line. Wants (-e)
# what style.gp names. Data: a block per series, x value low high "model".
load home."style.gp"
style(s) = s <= words(styles) ? word(styles, s) + 0 : 0
bottom(k) = valid(k) ? column(k) : column(2)
top(k) = valid(k) ? column(k) : column(2)

set format x xformat
set format y yformat
set autoscale noextend
set offsets graph 0.06, graph 0.10, graph 0.08, graph 0.05
do for [f in formats] {
    eval(terminal(f))
    set output stem.".".f
    plot for [s=1:n] datafile index s - 1 using 1:2 with lines ls style(s) lw 0.7 notitle, \
         for [s=1:n] datafile index s - 1 using 1:(bottom(3)):(0):(top(4) - bottom(3)) with vectors nohead ls style(s) dt 1 lw 1 notitle, \
         for [s=1:n] datafile index s - 1 using 1:2 with points ls style(s) title word(names, s), \
         for [s=1:n] datafile index s - 1 using 1:2:5 with labels font small textcolor rgb "#333333" left offset 0.9, -0.5 notitle
    unset output
}
