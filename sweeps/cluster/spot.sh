#!/bin/sh
# Spot machines: each trains the shards of a sweep that no other machine is training.
#
#     spot.sh SWEEP SHARDS FOLDER
#
# As the startup script of every machine. FOLDER is on a disk that they share, with file locks. A
# machine may come or be taken away at any time: its shard is continued by the next that passes.
set -u
sweep=$1 shards=$2 folder=$3

superpos plan "$sweep" --shards "$shards" || exit # a mistake ends here
mkdir -p "$folder" || exit

left=1
while [ "$left" -gt 0 ]; do
    left=0
    for i in $(seq "$shards"); do
        shard=$folder/shard-$i-of-$shards
        [ -e "$shard.done" ] && continue
        superpos run "$sweep" --shard "$i/$shards" --out "$shard"
        case $? in
        0 | 1) touch "$shard.done" ;; # 1: some of its cells died, which is a result
        130) exit 130 ;;              # this machine is being taken away
        *) left=$((left + 1)) ;;      # another machine is at work in the folder
        esac
    done
    [ "$left" -eq 0 ] || sleep "${PAUSE:-60}"
done
