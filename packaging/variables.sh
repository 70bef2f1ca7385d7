# variables.sh - the scripts of this folder read it (`. packaging/variables.sh`, in the top folder), and so does ./run package. It sets
# what their files depend on: VERSION, SOURCE_DATE_EPOCH (the time of the commit), locale, time zone and umask. And PACKAGES, the folder
# for the files, where no caller has set it.
VERSION=$(sed -n 's/^project(carillon VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
# In an archive git has filled in commit.txt.
if [ -e .git ]; then SOURCE_DATE_EPOCH=$(git log -1 --format=%ct); else SOURCE_DATE_EPOCH=$(sed 's/.* //' cmake/commit.txt); fi
case $SOURCE_DATE_EPOCH in
'' | *[!0-9]*)
    echo "packaging: the commit of these files is unknown: take a clone, or an archive that git has made" >&2
    exit 1
    ;;
esac
PACKAGES=${PACKAGES:-$PWD/build/packages}
export VERSION SOURCE_DATE_EPOCH PACKAGES LC_ALL=C.UTF-8 TZ=UTC
umask 022
mkdir -p "$PACKAGES"
