"""Completion scripts: click's for zsh and fish, and our own for bash, which treats `NAME:ALIAS` as one word."""

from click.shell_completion import get_completion_class

from artstore.cli import COMPLETE, cli

_BASH = """\
_artstore_completion() {
    local line="${COMP_LINE:0:COMP_POINT}" word response kind value cut=""
    word="${line##* }"
    # bash splits words at colons: the part before the last colon is on the line already
    [[ $word == *:* && $COMP_WORDBREAKS == *:* ]] && cut="${word%%"${word##*:}"}"
    [[ -z $word ]] && line+="''"
    COMPREPLY=()
    response=$(env COMP_WORDS="$line" COMP_CWORD=-1 %s=bash_complete "$1")
    while IFS="," read -r kind value; do
        case $kind in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) printf -v value "%%q" "${value#"$cut"}"; COMPREPLY+=("$value") ;;
        esac
    done <<< "$response"
}
complete -o nosort -F _artstore_completion artstore"""


def source(shell: str) -> str:
    """The completion script for `bash`, `zsh` or `fish`."""
    if shell == "bash":
        return _BASH % COMPLETE
    kind = get_completion_class(shell)
    assert kind is not None  # click supports these shells
    return kind(cli, {}, "artstore", COMPLETE).source()
