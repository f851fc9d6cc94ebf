# fit.gp — measured points with 95% intervals, the power law fitted through them and its 95% prediction band. Wants (-e) what
# lines.gp wants. Data: per series a block of points, x value low high, and a block of the law, x value low high.
load home."style.gp"
style(s) = word(styles, s) + 0
bottom(k) = valid(k) ? column(k) : column(2)
top(k) = valid(k) ? column(k) : column(2)

set format x xformat
set format y yformat
set style fill transparent solid 0.15 noborder
set autoscale noextend
set offsets graph 0.05, graph 0.05, graph 0.08, graph 0.05
do for [f in formats] {
    eval(terminal(f))
    set output stem.".".f
    plot for [s=1:n] datafile index 2 * s - 1 using 1:3:4 with filledcurves ls style(s) notitle, \
         for [s=1:n] datafile index 2 * s - 1 using 1:2 with lines ls style(s) dt 1 lw 0.8 notitle, \
         for [s=1:n] datafile index 2 * s - 2 using 1:(bottom(3)):(0):(top(4) - bottom(3)) with vectors nohead ls style(s) dt 1 lw 1 notitle, \
         for [s=1:n] datafile index 2 * s - 2 using 1:2 with points ls style(s) title word(names, s)
    unset output
}
