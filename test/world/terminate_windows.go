package world

func (d *Daemon) terminate() error { return d.cmd.Process.Kill() }
