#!/bin/sh
# static-libraries.sh - makes the libraries that the relocatable build has inside (CARILLON_STATIC), in build/static/prefix. Their sources
# are those of packaging/static-libraries.lock, from the Debian mirror that apt on this machine uses. They are built without what Carillon
# does not use, with the flags of cmake/hardening.cmake. When nothing has changed, nothing is made again.
set -eu
cd "$(dirname "$0")/.."
packaging=$PWD/packaging
lock=$packaging/static-libraries.lock
static=$PWD/build/static
prefix=$static/prefix

# What decides how they come out.
made_of() {
    { cat "$lock" "$packaging/static-libraries.sh" "$packaging"/libjwt/* && gcc --version; } | sha256sum
}

if [ -f "$prefix/made" ] && [ "$(cat "$prefix/made")" = "$(made_of)" ]; then
    exit
fi
say() {
    printf 'static-libraries: %s\n' "$*" >&2
}
fail() {
    say "$*"
    exit 1
}

# fetch HASH PATH: into build/static/sources.
fetch() {
    file=$static/sources/${2##*/}
    [ -f "$file" ] && echo "$1  $file" | sha256sum --quiet -c - 2>/dev/null && return
    case $2 in
    pool/updates/*) label=Debian-Security ;;
    *) label=Debian ;;
    esac
    mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' "Label: $label" | sort -u | head -n 1)
    [ -n "$mirror" ] || fail "apt on this machine knows no mirror of $label"
    /usr/lib/apt/apt-helper download-file "${mirror%/}/$2" "$file" "SHA256:$1" >"$static/fetch.log" 2>&1 || {
        cat "$static/fetch.log" >&2
        fail "$2 is not on the mirror ($lock names newer or older sources)"
    }
}

# unpack LIBRARY: makes its sources, patched as Debian's, the working directory.
unpack() {
    rm -rf "$static/src/$1" "$static/src/debian"
    mkdir -p "$static/src/$1" "$static/sources"
    while read -r name hash path; do
        [ "$name" = "$1" ] || continue
        fetch "$hash" "$path"
        case $path in
        *.orig.tar.*) tar -xf "$file" -C "$static/src/$1" --strip-components=1 ;;
        *) tar -xf "$file" -C "$static/src/$1" ;;
        esac
    done <"$lock"
    cd "$static/src/$1"
    mkdir -p "$prefix/licences"
    find . -maxdepth 1 \( -name 'LICENSE*' -o -name COPYING \) | sort | xargs cat >"$prefix/licences/$1.txt"
    [ ! -f debian/patches/series ] || sed 's/#.*//' debian/patches/series | while read -r patch options; do
        [ -z "$patch" ] || patch -s -f -p1 <"debian/patches/$patch" || fail "$1: Debian's $patch does not fit"
    done
}

harden="-O2 -fPIE -fno-common -fstack-protector-strong -fstack-clash-protection -fcf-protection=full
    -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -ffunction-sections -fdata-sections"

# make_with_cmake LIBRARY [OPTION...]: no build type, so that their assertions stay, as in Debian's.
make_with_cmake() {
    library=$1
    shift
    unpack "$library"
    if [ "$library" = libjwt ]; then
        cp "$packaging"/libjwt/* libjwt/
        sed -i 's/^project (jwt)/project (jwt C)/' CMakeLists.txt # else it wants a C++ compiler
    fi
    # Its assertions stay, without its tests of itself: they look through a table of all possible descriptors for each connection.
    [ "$library" != libwebsockets ] || sed -i '/^#ifndef NDEBUG/,/^#endif/d' cmake/lws_config.h.in cmake/lws_config_private.h.in
    flags=$(echo $harden "-ffile-prefix-map=$PWD=$library")
    say "building $library"
    (cmake -S . -B build-static -G Ninja -DCMAKE_BUILD_TYPE=None -DCMAKE_C_FLAGS="$flags" -DCMAKE_INSTALL_PREFIX="$prefix" \
            -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF \
            -DBUILD_SHARED_LIBS=OFF -DBUILD_STATIC_LIBS=ON -DBUILD_TESTING=OFF "$@" &&
        cmake --build build-static && cmake --install build-static) >"$static/$library.log" 2>&1 || {
        tail -n 40 "$static/$library.log" >&2
        fail "$library does not build; see build/static/$library.log"
    }
}

# It reads no openssl.cnf: that of another release may have words that this version refuses. The names of its folders and of the compiler
# get into the library, so they are the same on each machine.
make_openssl() {
    unpack openssl
    say "building openssl (some minutes)"
    mkdir -p "$static/bin"
    printf '#!/bin/sh\nexec %s %s "$@"\n' "${CMAKE_C_COMPILER_LAUNCHER:-env}" "$(command -v gcc)" >"$static/bin/gcc"
    chmod +x "$static/bin/gcc"
    (PATH=$static/bin:$PATH && export PATH && CC=gcc CFLAGS=$(echo $harden) perl ./Configure linux-x86_64 \
            --prefix=/usr --libdir=lib --openssldir=/etc/ssl enable-ec_nistp_64_gcc_128 \
            no-shared no-pic no-apps no-docs no-tests no-module no-dso no-engine no-legacy no-autoload-config \
            no-quic no-dtls no-srp no-cmp no-cms no-ts no-comp no-ssl3 no-ssl3-method no-weak-ssl-ciphers no-rdrand \
            no-aria no-bf no-blake2 no-camellia no-cast no-gost no-idea no-md4 no-mdc2 no-rc2 no-rc4 no-rc5 no-rmd160 no-seed \
            no-sm2 no-sm3 no-sm4 no-whirlpool &&
        make -j "$(nproc)" build_libs && make install_dev DESTDIR="$PWD/installed" &&
        cp -R installed/usr/. "$prefix" && sed -i 's|^prefix=.*|prefix=${pcfiledir}/../..|' "$prefix"/lib/pkgconfig/*.pc) >"$static/openssl.log" 2>&1 || {
        tail -n 40 "$static/openssl.log" >&2
        fail "openssl does not build; see build/static/openssl.log"
    }
}

# pkgconfig NAME LIBRARY REQUIRES LIBS: for a library whose own build has no file for pkg-config, or one without what it needs itself.
pkgconfig() {
    cat >"$prefix/lib/pkgconfig/$1.pc" <<END
prefix=\${pcfiledir}/../..
Name: $1
Description: $2, made by packaging/static-libraries.sh
Version: $(sed -n "s|^$2 .*_\([0-9.]*\)\.orig\.tar.*|\1|p" "$lock")
Requires: $3
Libs: -L\${prefix}/lib $4
Cflags: -I\${prefix}/include
END
}

rm -rf "$prefix" "$static/src"
mkdir -p "$prefix"
export PKG_CONFIG_LIBDIR="$prefix/lib/pkgconfig"
# The date that OpenSSL would have inside. The sources have none.
export SOURCE_DATE_EPOCH=0
# libwebsockets would have the commit of this folder inside.
export GIT_DIR=/dev/null
(make_openssl)
(make_with_cmake libuv -DLIBUV_BUILD_SHARED=OFF -DLIBUV_BUILD_TESTS=OFF -DLIBUV_BUILD_BENCH=OFF)
pkgconfig libuv libuv '' '-luv -lpthread -ldl -lrt'
# libuv inside: Debian has it in a plugin, which libwebsockets looks for in a folder of the machine.
(make_with_cmake libwebsockets -DLWS_WITH_SHARED=OFF -DLWS_WITH_LIBUV=ON -DLWS_WITH_EVLIB_PLUGINS=OFF -DLWS_WITH_HTTP2=OFF \
    -DLWS_WITHOUT_CLIENT=ON -DLWS_WITHOUT_EXTENSIONS=ON -DLWS_WITH_ZLIB=OFF -DLWS_WITH_NETLINK=OFF -DLWS_IPV6=ON \
    -DLWS_WITHOUT_TESTAPPS=ON -DLWS_WITH_MINIMAL_EXAMPLES=OFF -DLWS_HAVE_LIBCAP=OFF -DLWS_WITH_EXPORT_LWSTARGETS=OFF \
    -DOPENSSL_ROOT_DIR="$prefix" -DOPENSSL_USE_STATIC_LIBS=TRUE -DDISABLE_WERROR=ON)
pkgconfig libwebsockets libwebsockets 'libuv openssl' -lwebsockets
(make_with_cmake nghttp2 -DENABLE_LIB_ONLY=ON -DENABLE_DOC=OFF)
# Without a folder or file of certificates: then it takes those that OpenSSL takes.
(make_with_cmake curl -DHTTP_ONLY=ON -DBUILD_CURL_EXE=OFF -DBUILD_LIBCURL_DOCS=OFF -DBUILD_MISC_DOCS=OFF -DENABLE_CURL_MANUAL=OFF \
    -DCURL_USE_OPENSSL=ON -DOPENSSL_ROOT_DIR="$prefix" -DOPENSSL_USE_STATIC_LIBS=TRUE -DCURL_DISABLE_OPENSSL_AUTO_LOAD_CONFIG=ON \
    -DCURL_CA_BUNDLE=none -DCURL_CA_PATH=none -DCURL_CA_FALLBACK=ON -DUSE_NGHTTP2=ON -DENABLE_THREADED_RESOLVER=ON \
    -DCURL_ZLIB=OFF -DCURL_BROTLI=OFF -DCURL_ZSTD=OFF -DCURL_USE_LIBPSL=OFF -DCURL_USE_LIBSSH2=OFF -DUSE_LIBIDN2=OFF \
    -DCURL_DISABLE_ALTSVC=ON -DCURL_DISABLE_HSTS=ON -DCURL_DISABLE_NTLM=ON -DCURL_DISABLE_KERBEROS_AUTH=ON \
    -DCURL_DISABLE_NEGOTIATE_AUTH=ON -DCURL_DISABLE_AWS=ON -DCURL_DISABLE_DOH=ON -DCURL_DISABLE_PROXY=ON -DCURL_DISABLE_COOKIES=ON \
    -DCURL_DISABLE_NETRC=ON -DCURL_DISABLE_WEBSOCKETS=ON -DCURL_DISABLE_SRP=ON)
(make_with_cmake jansson -DJANSSON_BUILD_DOCS=OFF -DJANSSON_EXAMPLES=OFF -DJANSSON_WITHOUT_TESTS=ON)
(make_with_cmake libjwt -DBUILD_EXAMPLES=OFF -DOPENSSL_ROOT_DIR="$prefix" -DOPENSSL_USE_STATIC_LIBS=TRUE)
pkgconfig libjwt libjwt 'jansson openssl' -ljwt
(make_with_cmake cjson -DENABLE_CJSON_TEST=OFF -DENABLE_CUSTOM_COMPILER_FLAGS=OFF)
(make_with_cmake hiredis -DDISABLE_TESTS=ON -DENABLE_SSL=OFF)
made_of >"$prefix/made"
rm -rf "$static/src"
