package phpfpm

import (
	"slices"
	"strings"
)

// The directives of PHP-FPM up to 8.5 (php.net/manual/en/install.fpm.configuration.php
// and php-fpm.conf(5)). Directives are found in any case, arrays are not.
const (
	globalEntries = `pid error_log syslog.facility syslog.ident log_level log_limit log_buffering
		emergency_restart_threshold emergency_restart_interval process_control_timeout process.max
		process.priority daemonize rlimit_files rlimit_core events.mechanism systemd_interval`

	poolEntries = `prefix user group listen listen.backlog listen.acl_users listen.acl_groups
		listen.owner listen.group listen.mode listen.allowed_clients listen.setfib process.priority
		process.dumpable pm pm.max_children pm.start_servers pm.min_spare_servers pm.max_spare_servers
		pm.max_spawn_rate pm.process_idle_timeout pm.max_requests pm.status_path pm.status_listen
		ping.path ping.response access.log access.format slowlog request_slowlog_timeout
		request_slowlog_trace_depth request_terminate_timeout request_terminate_timeout_track_finished
		rlimit_files rlimit_core chroot chdir catch_workers_output decorate_workers_output clear_env
		security.limit_extensions apparmor_hat`

	poolArrays = `env php_value php_flag php_admin_value php_admin_flag access.suppress_path`
)

// among says whether name is one of the names.
func among(names, name string) bool { return slices.Contains(strings.Fields(names), name) }
