#!/usr/bin/env bash
# Proves that nothing is missing: a minimal Debian 12 in a folder, a clone of this repository, demo.sh, test.sh.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'END'
Usage: sudo scripts/bare.sh [--keep] [--root FOLDER] [TEST ARGUMENT...]

Makes a minimal bookworm root with debootstrap, clones HEAD into it and runs scripts/demo.sh and scripts/test.sh there, as
somebody would on a fresh machine. The root's package sources, proxies, certificates and pip settings are copied from this
machine when it runs. Needs root, debootstrap and about 8 GB of disk.

  --keep           keep the root afterwards (it is removed otherwise)
  --root FOLDER    where to make it (default: a new folder below ${TMPDIR:-/tmp}); one that exists is used as it is
  TEST ARGUMENT    handed to scripts/test.sh, for example fast
END
}

keep=0 root=
while [ $# -gt 0 ]; do
  case $1 in
    --keep) keep=1 ;;
    --root) root=$2; shift ;;
    -h | --help) usage; exit 0 ;;
    --*) echo "unknown option $1" >&2; usage >&2; exit 2 ;;
    *) break ;;
  esac
  shift
done
[ "$(id -u)" -eq 0 ] || { echo "chroot and mount need root: sudo scripts/bare.sh" >&2; exit 2; }
command -v debootstrap >/dev/null || { echo "debootstrap is missing (apt install debootstrap)" >&2; exit 2; }

# The mirror of this machine's first bookworm line, in either form of apt's source lists.
mirror() {
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
    sed -nE 's/^deb +(\[[^]]*\] +)?([^ ]+) +bookworm .*/\2/p'
  cat /etc/apt/sources.list.d/*.sources 2>/dev/null |
    awk '/^URIs:/ {uri = $2} /^Suites:/ {for (i = 2; i <= NF; i++) if ($i == "bookworm") print uri}'
}
mirror=$(mirror | head -1)
[ -n "$mirror" ] || { echo "no bookworm source in /etc/apt: is this Debian 12?" >&2; exit 2; }
proxy=$(apt-config dump --format '%v%n' Acquire::http::Proxy | tail -1)
if [ -n "$proxy" ] && [ "$proxy" != DIRECT ]; then export http_proxy=$proxy; fi

[ -n "$root" ] || root=$(mktemp -d "${TMPDIR:-/tmp}/resnet-bare.XXXXXX")
clean() {
  local status=$?
  for point in proc dev/pts dev; do
    mountpoint -q "$root/$point" && umount "$root/$point"
  done
  if [ "$keep" = 1 ]; then
    echo "kept: $root"
  elif ! grep -q " $root/" /proc/mounts; then
    rm -rf --one-file-system "$root"
  fi
  exit $status
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

chmod 755 "$root"  # mktemp makes it private, but it is the root folder of all users in there
[ -e "$root/etc/debian_version" ] || debootstrap --variant=minbase bookworm "$root" "$mirror"

# How this machine reaches packages; nothing of it is in the repository. The root keeps debootstrap's one source line.
apt-config dump | grep -E '^Acquire::https?::' >"$root/etc/apt/apt.conf.d/90host" || true
# The local certificates count again when the root installs ca-certificates, which writes its bundle anew.
for file in /etc/apt/auth.conf.d /etc/resolv.conf /etc/pip.conf /etc/ssl/certs/ca-certificates.crt \
  /usr/local/share/ca-certificates; do
  [ -e "$file" ] || continue
  mkdir -p "$root$(dirname "$file")"
  cp -rL "$file" "$root$(dirname "$file")/"
done
for folder in ${PIP_FIND_LINKS:-}; do
  [ -d "$folder" ] || continue
  mkdir -p "$root$folder"
  cp -a "$folder/." "$root$folder/"
done
environment=(PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8)
while IFS= read -r variable; do environment+=("$variable"); done \
  < <(env | grep -E '^(PIP_[A-Z_]+|https?_proxy|no_proxy|SSL_CERT_FILE|REQUESTS_CA_BUNDLE)=')

mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount --bind /dev/pts "$root/dev/pts"
inside() { chroot "$root" env -i "${environment[@]}" "$@"; }

# Cloned from a bundle, so that what is not committed cannot help.
git bundle create -q "$root/root/repository.bundle" HEAD
inside sh -ec 'apt-get update -qq && apt-get install -y -qq --no-install-recommends git >/dev/null
  rm -rf /root/resnet-engine && git clone -q /root/repository.bundle /root/resnet-engine'

begin=$SECONDS
inside /root/resnet-engine/scripts/demo.sh
demo=$((SECONDS - begin)) begin=$SECONDS
inside /root/resnet-engine/scripts/test.sh "$@"
echo
echo "bare Debian $(cat "$root/etc/debian_version"): demo.sh $demo s, test.sh $* $((SECONDS - begin)) s on $(nproc) cores"
