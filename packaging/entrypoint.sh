#!/bin/bash
# Entry point of the MONAI Application Package. Without arguments it runs the application once over the input
# folder, and it ends with the application's own exit code: a platform must see when a study failed.
set -eu

app_manifest=${HOLOSCAN_APP_MANIFEST_PATH:-/etc/holoscan/app.json}
pkg_manifest=${HOLOSCAN_PKG_MANIFEST_PATH:-/etc/holoscan/pkg.json}
# Older platforms say MONAI_*; where they do, they mean it.
input=${MONAI_INPUTPATH:-${HOLOSCAN_INPUT_PATH:-/var/holoscan/input}}
output=${MONAI_OUTPUTPATH:-${HOLOSCAN_OUTPUT_PATH:-/var/holoscan/output}}

extract() {
    local export=${HOLOSCAN_EXPORT:-/var/run/holoscan/export}
    mkdir -p "$export/app" "$export/config" "$export/models"
    cp -r "${HOLOSCAN_APPLICATION:-/opt/holoscan/app}/." "$export/app"
    cp -r "${HOLOSCAN_MODEL_PATH:-/opt/holoscan/models}/." "$export/models"
    cp "$app_manifest" "$pkg_manifest" "$export/config"
}

case "${1:-}" in
    show)
        case "${2:-all}" in
            app) cat "$app_manifest" ;;
            pkg) cat "$pkg_manifest" ;;
            *) cat "$app_manifest" "$pkg_manifest" ;;
        esac
        ;;
    env) env | grep -E '^(HOLOSCAN|MONAI|TEXTSEG)_' | sort ;;
    extract) extract ;;
    help)
        echo "usage: [OPTION ...]     options of 'textseg run', which goes over $input into $output"
        echo "       show [app|pkg] | env | extract | help"
        echo "       textseg COMMAND  any other command of textseg, such as 'textseg serve'"
        ;;
    textseg) exec "$@" ;;
    *)
        # holoscan asks for a 32 MB stack; where the platform forbids that, it warns and works
        ulimit -s 32768 2>/dev/null || true
        exec textseg run "$input" "$output" "$@"
        ;;
esac
