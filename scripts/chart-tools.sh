#!/usr/bin/env bash
# Installs helm, kubeconform and the schemas of Kubernetes for the tests of the chart: about two minutes with Go 1.26 or
# newer, nothing when they are there. They are kept outside the repository, in CHART_TOOLS or the user's cache folder.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=${CHART_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/clearbox-chart-tools}

if [ ! -x "$tools/bin/helm" ] || [ ! -x "$tools/bin/kubeconform" ] || [ ! -e "$tools/kubernetes/service-v1.json" ]; then
  PATH=$PATH:/usr/local/go/bin
  found=$(go env GOVERSION 2>/dev/null || echo none)
  version=$(sed -n 's/^go1\.\([0-9]*\).*/\1/p' <<<"$found")
  if [ "${version:-0}" -lt 26 ]; then
    echo "The chart's tests need helm and kubeconform, and building them needs Go 1.26 or newer (found: $found)." >&2
    exit 1
  fi
  mkdir -p "$tools/bin"
  GOBIN="$tools/bin" go install helm.sh/helm/v3/cmd/helm@v3.22.0
  GOBIN="$tools/bin" go install github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0
  kubectl=$(go mod download -json k8s.io/kubectl@v0.37.0 | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
  node scripts/kubernetes-schemas.js "$kubectl/testdata/openapi/swagger.json" "$tools/kubernetes"
fi
"$tools/bin/helm" version --short
