# SPDX-License-Identifier: ISC
# bash completion of sallyport(8) and sallyport-ctl(1).
_sallyport()
{
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
	local i words="" command="" noun=""
	COMPREPLY=()
	case $previous in
	-c|-s)
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		return ;;
	esac
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-c|-s) ((i++)) ;;
		-*) ;;
		ctl) command=ctl ;;
		*)	if [ "$command" = ctl ]; then
				command=${COMP_WORDS[i]}
			elif [ -n "$command" ]; then
				noun=${COMP_WORDS[i]}
			fi ;;
		esac
	done
	case $command in
	"") words="ctl -c -t -T -V -h" ;;
	ctl) words="status sessions top kick backend backends certificates listeners
		why tls-report limits ban unban deny reload drain log-level help
		-c -s --json" ;;
	limits) [ -n "$noun" ] || words="show top" ;;
	deny) [ -n "$noun" ] || words="reload" ;;
	top) words="user address backend" ;;
	kick) [ -n "$noun" ] || words="user id backend address" ;;
	sessions) words="user= address= backend= state= tls= listener= id="
		compopt -o nospace 2>/dev/null ;;
	backend) [ -z "$noun" ] || words="drain up down" ;;
	log-level) words="error warn info debug" ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -F _sallyport sallyport
