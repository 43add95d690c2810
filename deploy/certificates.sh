#!/bin/sh
# Makes an authority and the certificates of one cluster with it, for a test: DIR/ca.{crt,key}, and
# ca.crt, tls.crt, tls.key in DIR/collector, DIR/agent and DIR/viewer. Where it lasts, let cert-manager
# or your own authority make them, and keep its key away from the cluster.
#
#   deploy/certificates.sh DIR [NAMESPACE] [DAYS]
set -eu

dir=${1:?usage: certificates.sh DIR [NAMESPACE] [DAYS]}
namespace=${2:-kestrel}
days=${3:-90}
umask 077
mkdir -p "$dir"

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; }

if [ ! -e "$dir/ca.key" ]; then
  key "$dir/ca.key"
  openssl req -x509 -new -key "$dir/ca.key" -subj "/CN=kestrel authority" -days "$days" -sha256 \
    -addext "basicConstraints=critical,CA:TRUE,pathlen:0" -addext "keyUsage=critical,keyCertSign,cRLSign" \
    -out "$dir/ca.crt"
fi

# Folder, extended key usage, names.
issue() {
  mkdir -p "$dir/$1"
  key "$dir/$1/tls.key"
  {
    echo "basicConstraints=critical,CA:FALSE"
    echo "keyUsage=critical,digitalSignature"
    echo "extendedKeyUsage=$2"
    echo "subjectAltName=$3"
  } >"$dir/$1/extensions"
  openssl req -new -key "$dir/$1/tls.key" -subj "/CN=kestrel $1" |
    openssl x509 -req -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -CAcreateserial -days "$days" -sha256 \
      -extfile "$dir/$1/extensions" -out "$dir/$1/tls.crt" 2>/dev/null
  cp "$dir/ca.crt" "$dir/$1/ca.crt"
  rm "$dir/$1/extensions"
}

issue collector serverAuth "DNS:kestrel-collector.$namespace.svc,DNS:localhost,IP:127.0.0.1"
issue agent clientAuth "DNS:*.node.kestrel"
issue viewer clientAuth "DNS:viewer.kestrel"

cat <<EOF
Made in $dir. As Secrets:
  for who in collector agent; do
    kubectl --namespace $namespace create secret generic kestrel-\$who-tls --type kubernetes.io/tls \\
      --from-file $dir/\$who/ca.crt --from-file $dir/\$who/tls.crt --from-file $dir/\$who/tls.key
  done
And to ask the collector through a port-forward:
  kubectl --namespace $namespace port-forward service/kestrel-collector 9480 &
  kestrel nodes --server https://localhost:9480 --ca $dir/viewer/ca.crt --cert $dir/viewer/tls.crt --key $dir/viewer/tls.key
EOF
