# lines.gp — one line per series with 95% intervals, and a thin one for each of the document's formulas. Wants (-e) what style.gp
# names. Data: a block per series, x value low high; then one per formula, x value "variant".
load home."style.gp"
style(s) = s <= words(styles) ? word(styles, s) + 0 : 0
own(k) = style(n + k) > 0 ? style(n + k) : 32
bottom(k) = valid(k) ? column(k) : column(2)
top(k) = valid(k) ? column(k) : column(2)

# Parts of the plot that an empty iteration would not leave out.
formulas = marks < 1 ? "" : "for [k=1:marks] datafile index n + k - 1 using 1:2 with lines ls own(k) dt (8,5) lw 1.3 notitle, " \
    ."for [k=1:marks] datafile index n + k - 1 using 1:2:3 with labels font small textcolor rgb '#444444' left offset 0.6, 0 notitle, " \
    ."keyentry with lines ls 32 title word(names, n + 1), "

set format x xformat
set format y yformat
set autoscale noextend
set offsets graph 0.05, graph (marks > 1 ? 0.13 : 0.05), graph 0.08, graph 0.06
do for [f in formats] {
    eval(terminal(f))
    set output stem.".".f
    plot @formulas for [s=1:n] datafile index s - 1 using 1:(bottom(3)):(0):(top(4) - bottom(3)) with vectors nohead ls style(s) dt 1 lw 1 notitle, \
         for [s=1:n] datafile index s - 1 using 1:2 with linespoints ls style(s) title word(names, s)
    unset output
}
