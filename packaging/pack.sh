#!/bin/sh
# pack.sh FOLDER NAME FILE: packs FOLDER/NAME so that the bytes of FILE depend on nothing but names, contents, and what can be executed.
set -eu
tar -C "$1" --format=ustar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=a+rX,u+w,go-w -cf - "$2" |
    gzip -9n >"$3"
