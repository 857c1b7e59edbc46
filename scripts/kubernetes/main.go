// All programs of a small Kubernetes cluster as one: `kube NAME [flags]` is what the program of that name does with these
// flags. One program shares its packages, so that it is built in the time of the largest and takes a quarter of the space.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	_ "time/tzdata"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	manager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// Only the chosen command is made: all of them register the same feature gates.
var programs = map[string]func() int{
	"etcd":        func() int { etcdmain.Main(os.Args); return 0 },
	"apiserver":   func() int { return cli.Run(apiserver.NewAPIServerCommand()) },
	"manager":     func() int { return cli.Run(manager.NewControllerManagerCommand()) },
	"scheduler":   func() int { return cli.Run(scheduler.NewSchedulerCommand()) },
	"kubelet":     func() int { return cli.Run(kubelet.NewKubeletCommand(context.Background())) },
	"proxy":       func() int { return cli.Run(proxy.NewProxyCommand()) },
	"firewall":    func() int { return exitStatus(runFirewall(os.Args[1:])) },
	"provisioner": func() int { return exitStatus(runProvisioner(os.Args[1:])) },
}

func main() {
	if len(os.Args) < 2 || programs[os.Args[1]] == nil {
		fmt.Fprintf(os.Stderr, "usage: kube %s [flags]\n", strings.Join(slices.Sorted(maps.Keys(programs)), "|"))
		os.Exit(64)
	}
	run := programs[os.Args[1]]
	os.Args = append([]string{os.Args[0]}, os.Args[2:]...)
	os.Exit(run())
}

func exitStatus(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}
