#!/usr/bin/env bash
# bash ask.sh [OPTION OF CURL]... -- (METHOD URL KEY FILE)...: a line for each case, the statuses of
# three requests. FILE is empty where there is no body.
options=()
while [[ $1 != -- ]]; do
  options+=("$1")
  shift
done
shift
while (($#)); do
  how=(-X "$1") data=() statuses=()
  if [[ $1 == HEAD ]]; then how=(-I); fi
  if [[ -n $4 ]]; then data=(--data-binary "@$4"); fi
  for _ in 1 2 3; do
    # A new curl for each: one that repeats an address writes the body into the status.
    statuses+=("$(curl -sS "${options[@]}" "${how[@]}" -o /dev/null -w "%{http_code}" \
      -H "X-API-Key: $3" -H "Content-Type: image/jpeg" "${data[@]}" "$2")")
  done
  echo "${statuses[@]}"
  shift 4
done
