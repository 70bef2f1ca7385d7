#!/bin/sh
# image.sh FOLDER - puts into FOLDER what the image has, in the build stage of the Dockerfile: the program, the C library, the certificate
# authorities, the user, and licences. All files have the time SOURCE_DATE_EPOCH, or that of the C library.
set -eu
image=$1
program=build/relocatable/carillon

install -D -s "$program" "$image/usr/bin/carillon"
# The loader and the libraries at the names that the loader looks for.
ldd "$program" | grep -o '/[^ ]*' | while read -r library; do
    install -D -m 755 "$(readlink -f "$library")" "$image$library"
done
install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$image/etc/ssl/certs/ca-certificates.crt"
install -D -m 644 /usr/share/doc/libc6/copyright "$image/usr/share/doc/libc6/copyright"
install -D -m 644 /usr/share/doc/ca-certificates/copyright "$image/usr/share/doc/ca-certificates/copyright"
install -D -m 644 LICENSE "$image/usr/share/doc/carillon/LICENSE"
for licence in build/static/prefix/licences/*; do
    [ ! -f "$licence" ] || install -D -m 644 "$licence" "$image/usr/share/doc/carillon/licences/${licence##*/}"
done

cat >"$image/etc/passwd" <<'END'
root:x:0:0:root:/:/sbin/nologin
carillon:x:10001:10001:Carillon:/var/lib/carillon:/sbin/nologin
END
cat >"$image/etc/group" <<'END'
root:x:0:
carillon:x:10001:
END
echo 'hosts: files dns' >"$image/etc/nsswitch.conf"
# Where `carillon dev` keeps its keys, and where a configuration goes.
install -d -o 10001 -g 10001 "$image/var/lib/carillon"
install -d "$image/etc/carillon"
find "$image" -exec touch -h -d "@${SOURCE_DATE_EPOCH:-$(stat -c %Y /usr/share/doc/libc6/copyright)}" {} +
