package fpm

func terminate(int) {}
func kill(int)      {}
