#!/usr/bin/env bash
# run_all.sh — from a bare Debian machine to tables, plots and report: set up, build, sweep, report. Every step is printed before
# it runs and runs alone; killing this at any moment and starting it again is safe and continues where it was.
# In a bundle (`make bundle`) there is nothing to set up or to build: program and tools lie beside this file.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: ./run_all.sh [smoke|cpu|gpu|full] [--only EXPERIMENT] [--plots]

  smoke   two tiny models, under two minutes
  cpu     the four models of the document, 8 tokens, on the CPU
  gpu     the four models, 56 tokens, on an NVIDIA GPU
  full    cpu, then gpu where there is one
          no profile: gpu where nvidia-smi lists a GPU and nvcc is installed, else cpu

  --only EXPERIMENT   one of experiments/*.ini (may be repeated)
  --plots             measure nothing: draw the plots again from what is in results/, or, as long as nothing was measured
                      here, from the committed results in results/reference/ (no GPU needed)

exit status: 0, or that of the first step that failed (shardscale --help lists them)
TEXT
}

bad_usage() {
    echo "run_all.sh: $1; see ./run_all.sh --help" >&2
    exit 1
}

step() {
    printf '+ %s\n' "$*" >&2
    "$@"
}

in_bundle() { [ ! -f Makefile ]; }

has_gpu() {
    command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1 &&
        { in_bundle || command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ]; }
}

set_up_and_build() { # CUDA: 0 or 1
    # make is itself one of the packages that `make deps` would install.
    if ! command -v make >/dev/null; then
        local sudo=()
        [ "$(id -u)" = 0 ] || sudo=(sudo)
        echo 'installing: make' >&2
        step "${sudo[@]}" apt-get update -qq
        step "${sudo[@]}" apt-get install -y -qq --no-install-recommends make
    fi
    step make deps
    step make -j "$(nproc)" CUDA="$1"
}

profile='' plots_only=0 only=()
while [ $# -gt 0 ]; do
    case $1 in
    smoke | cpu | gpu | full)
        [ -z "$profile" ] || bad_usage "more than one profile: $profile and $1"
        profile=$1
        ;;
    --only)
        [ $# -ge 2 ] || bad_usage '--only needs the name of an experiment'
        only+=("$2")
        shift
        ;;
    --only=*) only+=("${1#--only=}") ;;
    --plots) plots_only=1 ;;
    -h | --help)
        usage
        exit 0
        ;;
    *) bad_usage "unknown argument '$1'" ;;
    esac
    shift
done

cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
for name in ${only[@]+"${only[@]}"}; do
    [ -f "experiments/$name.ini" ] || bad_usage "no experiment '$name' (there are: $(cd experiments && echo *.ini | sed 's/\.ini//g'))"
done
asked=$profile
if [ -z "$profile" ]; then
    if has_gpu; then profile=gpu; else profile=cpu; fi
fi
case $profile in
full) profiles=(cpu) && if has_gpu; then profiles+=(gpu); fi ;;
*) profiles=("$profile") ;;
esac
cuda=0
for p in "${profiles[@]}"; do
    [ "$p" != gpu ] || [ "$plots_only" = 1 ] || cuda=1
done

shardscale=build/shardscale
if in_bundle; then
    shardscale=./shardscale
    PATH=$PWD/bin:$PATH
else
    set_up_and_build "$cuda"
fi

# Failed cells do not keep the rest from being reported; the exit status tells of them in the end.
status=0
note_status() {
    if [ "$status" = 0 ]; then status=$1; fi
}

with_cells() {
    local folder
    for folder in "$@"; do
        [ ! -d "$folder/cells" ] || echo "$folder"
    done
}

# The profile's own results, without a profile all there are; the committed ones where nothing was measured.
if [ "$plots_only" = 1 ]; then
    if [ -n "$asked" ]; then
        folders=()
        for p in "${profiles[@]}"; do
            mapfile -t -O "${#folders[@]}" folders < <(with_cells "results/$p" "results/reference/${p/gpu/h200}" | head -1)
        done
    else
        mapfile -t folders < <(with_cells results/*)
        [ ${#folders[@]} -gt 0 ] || mapfile -t folders < <(with_cells results/reference/*)
    fi
    [ ${#folders[@]} -gt 0 ] || bad_usage "no results of profile $profile to draw; measure them: ./run_all.sh $profile"
    for folder in "${folders[@]}"; do
        for name in "${only[@]-}"; do
            code=0
            step "$shardscale" report --results "$folder" --plots ${name:+--only "$name"} || code=$?
            note_status "$code"
        done
    done
    for folder in "${folders[@]}"; do echo "plots:  $PWD/$folder/plots"; done
    exit "$status"
fi

for p in "${profiles[@]}"; do
    results=results/$p
    code=0
    step "$shardscale" run ${only[@]+"${only[@]}"} --profile "$p" --results "$results" || code=$?
    case $code in
    0 | 2 | 4) note_status "$code" ;; # everything that could be measured is saved
    *) exit "$code" ;;
    esac
    code=0
    step "$shardscale" report --results "$results" || code=$?
    note_status "$code"
done

for p in "${profiles[@]}"; do
    echo "report: $PWD/results/$p/REPORT.md"
    echo "        $PWD/results/$p/REPORT.html"
    echo "tables: $PWD/results/$p/tables"
    echo "plots:  $PWD/results/$p/plots"
done
exit "$status"
