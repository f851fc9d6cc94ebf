# style.gp — what all figures share. Colours are Okabe and Ito's; each variant has its own colour, marker, dash and fill, so
# that it is told apart in greyscale too. Loaded by bars.gp, lines.gp and stack.gp.
#   1 plain   2 v2   3 v3   4 v3-cc   5 v3-mpc   6 v3-ot   11.. whatever is no variant
set style line 1 lc rgb "#000000" lw 1.6 pt 7 ps 0.9 dt 1
set style line 2 lc rgb "#E69F00" lw 1.6 pt 5 ps 0.9 dt (12,4)
set style line 3 lc rgb "#56B4E9" lw 1.6 pt 9 ps 1.1 dt (6,3)
set style line 4 lc rgb "#009E73" lw 1.6 pt 11 ps 1.1 dt (12,3,2,3)
set style line 5 lc rgb "#D55E00" lw 1.6 pt 13 ps 1.2 dt (2,3)
set style line 6 lc rgb "#0072B2" lw 1.6 pt 15 ps 1.1 dt 1
set style line 11 lc rgb "#0072B2" lw 1.6 pt 7 ps 0.9 dt 1
set style line 12 lc rgb "#E69F00" lw 1.6 pt 5 ps 0.9 dt (12,4)
set style line 13 lc rgb "#009E73" lw 1.6 pt 9 ps 1.1 dt (6,3)
set style line 14 lc rgb "#CC79A7" lw 1.6 pt 11 ps 1.1 dt (12,3,2,3)
set style line 15 lc rgb "#56B4E9" lw 1.6 pt 13 ps 1.2 dt (2,3)
set style line 16 lc rgb "#D55E00" lw 1.6 pt 15 ps 1.1 dt 1
set style line 17 lc rgb "#F0E442" lw 1.6 pt 6 ps 0.9 dt (12,4)
set style line 18 lc rgb "#999999" lw 1.6 pt 4 ps 0.9 dt (6,3)
set style line 30 lc rgb "#DDDDDD" lw 0.6 dt 1
set style line 31 lc rgb "#333333" lw 1.0 dt 1

# Fill of bars by style: 3 solid, 4 and 5 slanted, 1 and 2 crossed. Neighbours in brightness differ in it.
fill(style) = word("3 3 4 3 5 2 3 3 3 3 3 4 3 5 3 2 3 1", style) + 0

set encoding utf8
set datafile missing "?"
unset timestamp
set border 3 ls 31
set tics nomirror scale 0.5 textcolor rgb "#333333"
set grid ytics ls 30
# Title and legend stand above the plot, at the left edge; as many entries a row as fit.
longest = 4
do for [i=1:n] { longest = strlen(word(names, i)) > longest ? strlen(word(names, i)) : longest }
perrow = int(60 / (longest + 5))
perrow = perrow < 1 ? 1 : perrow > n ? n : perrow
rows = (n - 1) / perrow + 1
set tmargin 3.4 + 1.4 * rows
set label 1 figtitle at screen 0.018, screen 0.955 left textcolor rgb "#111111" noenhanced
set key at screen 0.012, screen 0.915 left top Left reverse horizontal maxcols perrow samplen 1.8 spacing 1.15 noenhanced
if (longest < 9) set key width 1; else set key width -1
set xlabel xtext textcolor rgb "#333333" noenhanced
set ylabel ytext textcolor rgb "#333333" noenhanced
if (strstrt(logaxes, "x")) set logscale x; set grid xtics ls 30
if (strstrt(logaxes, "y")) set logscale y
# Less than two decades hold too few powers of ten to read a value by: 2 and 5 are marked too.
if (strstrt(logaxes, "x") && xmost < 100 * xleast) set for [d=-6:15] xtics add (gprintf(xformat, 2 * 10.0**d) 2 * 10.0**d, gprintf(xformat, 5 * 10.0**d) 5 * 10.0**d)
if (strstrt(logaxes, "y") && most < 100 * least) set for [d=-6:15] ytics add (gprintf(yformat, 2 * 10.0**d) 2 * 10.0**d, gprintf(yformat, 5 * 10.0**d) 5 * 10.0**d)

# One picture in three formats: SVG for pages, PDF for papers (a text column wide), PNG for everything else. eval(terminal(f)).
formats = "svg pdf png"
font(size) = sprintf("font 'DejaVu Sans,%g'", size)
sized(size) = font(size)." noenhanced; set label 1 ".font(1.15 * size)."; small = '".sprintf("DejaVu Sans,%g", 0.85 * size)."'"
terminal(f) = f eq "svg" ? "set terminal svg size 640,430 dynamic lw 1.2 ".sized(15) : \
              f eq "pdf" ? "set terminal pdfcairo size 10cm,6.7cm lw 1 ".sized(7) : \
                           "set terminal pngcairo size 1600,1075 lw 3 pointscale 2 ".sized(27)
