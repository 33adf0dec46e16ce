#!/bin/sh
# Installs pixlsrve from its unpacked archive on a Linux with systemd: the program to /usr/local/lib/pixlsrve, the command to
# /usr/local/bin, and the service. Options go to `pixlsrve install`: --run-as USER, --photos DIR. Run again to upgrade.
set -eu
here="$(cd "$(dirname "$0")" && pwd)"
target=/usr/local/lib/pixlsrve

[ "$(id -u)" = 0 ] || { echo "install.sh: run it as root: sudo $0 $*" >&2; exit 1; }
[ -x "$here/pixlsrve" ] || { echo "install.sh: there is no program beside this script; unpack the whole archive." >&2; exit 1; }
"$here/pixlsrve" --version >/dev/null || { echo "install.sh: this archive is for another kind of computer." >&2; exit 1; }

umask 022
rm -rf "$target.new"
cp -R "$here" "$target.new"
chown -R 0:0 "$target.new"
chmod -R u=rwX,go=rX "$target.new"
rm -rf "$target.old"
[ ! -e "$target" ] || mv "$target" "$target.old"
mv "$target.new" "$target"
rm -rf "$target.old"
mkdir -p /usr/local/bin
ln -sfn "$target/pixlsrve" /usr/local/bin/pixlsrve
exec /usr/local/bin/pixlsrve install "$@"
