# points.gp — one marker per cell with its 95% interval and the model's name. Wants (-e) what lines.gp wants. Data: a block per
# series, x value low high "model".
load home."style.gp"
style(s) = word(styles, s) + 0
bottom(k) = valid(k) ? column(k) : column(2)
top(k) = valid(k) ? column(k) : column(2)

set format x xformat
set format y yformat
set autoscale noextend
set offsets graph 0.06, graph 0.16, graph 0.08, graph 0.05
do for [f in formats] {
    eval(terminal(f))
    set output stem.".".f
    plot for [s=1:n] datafile index s - 1 using 1:(bottom(3)):(0):(top(4) - bottom(3)) with vectors nohead ls style(s) dt 1 lw 1 notitle, \
         for [s=1:n] datafile index s - 1 using 1:2 with points ls style(s) title word(names, s), \
         for [s=1:n] datafile index s - 1 using 1:2:5 with labels font small textcolor rgb "#666666" left offset 1.3, 0 notitle
    unset output
}
