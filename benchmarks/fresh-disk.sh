#!/bin/sh
# An empty ext4 of its own to measure on (needs root): where others delete files, creating some is slow for minutes.
# usage: benchmarks/fresh-disk.sh make IMAGE SIZE MOUNTPOINT | benchmarks/fresh-disk.sh remove IMAGE MOUNTPOINT
set -eu
case ${1:-} in
make)
    image=$2 size=$3 mountpoint=$4
    truncate -s "$size" "$image"
    mkfs.ext4 -q -i 8192 -E lazy_itable_init=0,lazy_journal_init=0,nodiscard "$image"
    mkdir -p "$mountpoint"
    device=$(losetup --find --show --direct-io=on "$image")
    mount "$device" "$mountpoint"
    losetup --detach "$device" # takes effect when it is unmounted
    ;;
remove)
    umount "$3"
    rmdir "$3"
    rm "$2"
    ;;
*)
    sed -n '2,3s/^# //p' "$0" >&2
    exit 2
    ;;
esac
