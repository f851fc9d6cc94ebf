# style.gp — what all figures share. Colours are Okabe and Ito's; each variant has its own colour, marker, dash and fill, so
# that it is told apart in greyscale too. Loaded by every KIND.gp, which wants (-e): home, datafile, stem, figtitle, xtext, ytext,
# condition (what all cells have in common), logaxes, xformat, yformat, names, styles, n (series), marks (document's formulas, or
# lower bounds on bars: names has one entry more, styles one for each), and the positive values least, most, xleast, xmost.
#   1 plain   2 v2   3 v3   4 v3-cc   5 v3-mpc   6 v3-ot   +20, +40 a second and third series of it   11.. whatever is no variant
set style line 1 lc rgb "#000000" lw 1.6 pt 7 ps 0.56 dt 1
set style line 2 lc rgb "#E69F00" lw 1.6 pt 5 ps 0.56 dt (12,4)
set style line 3 lc rgb "#56B4E9" lw 1.6 pt 9 ps 0.68 dt (6,3)
set style line 4 lc rgb "#009E73" lw 1.6 pt 11 ps 0.68 dt (12,3,2,3)
set style line 5 lc rgb "#D55E00" lw 1.6 pt 13 ps 0.74 dt (2,3)
set style line 6 lc rgb "#0072B2" lw 1.6 pt 15 ps 0.68 dt 1
set style line 21 lc rgb "#000000" lw 1.6 pt 6 ps 0.62 dt (6,3)
set style line 22 lc rgb "#E69F00" lw 1.6 pt 4 ps 0.62 dt (2,3)
set style line 23 lc rgb "#56B4E9" lw 1.6 pt 8 ps 0.74 dt (12,4)
set style line 24 lc rgb "#009E73" lw 1.6 pt 10 ps 0.74 dt (6,3)
set style line 25 lc rgb "#D55E00" lw 1.6 pt 12 ps 0.81 dt (12,4)
set style line 26 lc rgb "#0072B2" lw 1.6 pt 14 ps 0.74 dt (6,3)
set style line 41 lc rgb "#000000" lw 1.6 pt 2 ps 0.62 dt (12,3,2,3)
set style line 42 lc rgb "#E69F00" lw 1.6 pt 2 ps 0.62 dt 1
set style line 43 lc rgb "#56B4E9" lw 1.6 pt 2 ps 0.62 dt 1
set style line 44 lc rgb "#009E73" lw 1.6 pt 2 ps 0.62 dt 1
set style line 45 lc rgb "#D55E00" lw 1.6 pt 2 ps 0.62 dt 1
set style line 46 lc rgb "#0072B2" lw 1.6 pt 2 ps 0.62 dt (12,3,2,3)
set style line 11 lc rgb "#0072B2" lw 1.6 pt 7 ps 0.56 dt 1
set style line 12 lc rgb "#E69F00" lw 1.6 pt 5 ps 0.56 dt (12,4)
set style line 13 lc rgb "#009E73" lw 1.6 pt 9 ps 0.68 dt (6,3)
set style line 14 lc rgb "#CC79A7" lw 1.6 pt 11 ps 0.68 dt (12,3,2,3)
set style line 15 lc rgb "#56B4E9" lw 1.6 pt 13 ps 0.74 dt (2,3)
set style line 16 lc rgb "#D55E00" lw 1.6 pt 15 ps 0.68 dt 1
set style line 17 lc rgb "#F0E442" lw 1.6 pt 6 ps 0.56 dt (12,4)
set style line 18 lc rgb "#999999" lw 1.6 pt 4 ps 0.56 dt (6,3)
set style line 30 lc rgb "#DDDDDD" lw 0.6 dt 1
set style line 31 lc rgb "#333333" lw 1.0 dt 1
set style line 32 lc rgb "#555555" lw 1.8 dt (8,5)

# Fill of bars by style: 3 solid, 4 and 5 slanted, 1 and 2 crossed. Neighbours in brightness differ in it.
fill(style) = word("3 3 4 3 5 1 3 3 3 3 3 4 1 5 3 2 3 4", (style - 1) % 20 + 1) + 0

set encoding utf8
set datafile missing "?"
unset timestamp
set border 3 ls 31
set tics nomirror scale 0.5 textcolor rgb "#333333"
set grid ytics ls 30
# Title and legend stand above the plot, at the left edge; as many entries a row as fit.
longest = 4
entries = words(names)
do for [i=1:entries] { longest = strlen(word(names, i)) > longest ? strlen(word(names, i)) : longest }
perrow = int(72 / (longest + 6))
perrow = perrow < 1 ? 1 : perrow > entries ? entries : perrow
rows = (entries - 1) / perrow + 1
set rmargin 2.5
set label 1 figtitle at screen 0.018, screen 0.955 left textcolor rgb "#111111" noenhanced
set key at screen 0.012, screen 0.915 left top Left reverse horizontal maxcols perrow samplen 1.8 spacing 1.15 noenhanced
set label 2 condition at screen 0.985, screen 0.025 right textcolor rgb "#666666" noenhanced
set xlabel xtext textcolor rgb "#333333" noenhanced
set ylabel ytext textcolor rgb "#333333" noenhanced
if (strstrt(logaxes, "x")) set logscale x; set grid xtics ls 30
if (strstrt(logaxes, "y")) set logscale y
# Less than two decades hold too few powers of ten to read a value by: 2 and 5 are marked too.
if (strstrt(logaxes, "x") && xmost < 100 * xleast) set for [d=-6:15] xtics add (gprintf(xformat, 2 * 10.0**d) 2 * 10.0**d, gprintf(xformat, 5 * 10.0**d) 5 * 10.0**d)
if (strstrt(logaxes, "y") && most < 100 * least) set for [d=-6:15] ytics add (gprintf(yformat, 2 * 10.0**d) 2 * 10.0**d, gprintf(yformat, 5 * 10.0**d) 5 * 10.0**d)

# One picture in three formats: SVG for pages, PDF for papers (a column wide, 85 mm), PNG for everything else. eval(terminal(f)).
formats = "svg pdf png"
font(size) = sprintf("font 'DejaVu Sans,%g'", size)
sized(size) = font(size)." noenhanced; set label 1 ".font(1.12 * size)."; set label 2 ".font(0.8 * size)."; small = '".sprintf("DejaVu Sans,%g", 0.85 * size)."'"
# Where the plot begins, below `rows` of the legend, each `pitch` of the picture high; wide: what each entry is wider than thought.
legend(pitch, wide) = sprintf("; set tmargin at screen %g; set key width %g", 0.88 - pitch * rows, wide)
terminal(f) = f eq "svg" ? "set terminal svg size 640,450 dynamic background '#FFFFFF' lw 1.2 ".sized(15).legend(0.0578, longest < 9 ? 0 : longest < 18 ? -0.2 * longest : longest < 25 ? -0.1 * longest : -0.24 * longest) : \
              f eq "pdf" ? "set terminal pdfcairo size 8.5cm,6.0cm lw 0.9 pointscale 0.8 ".sized(7).legend(0.0365, longest < 9 ? 1 : -1) : \
                           "set terminal pngcairo size 1600,1125 lw 3.2 pointscale 3.4 ".sized(31).legend(0.0505, longest < 9 ? 0 : longest < 18 ? -0.2 * longest : longest < 25 ? -0.1 * longest : -0.24 * longest)
