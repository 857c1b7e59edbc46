package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

const provisionerName = "thermidora.test/disk"

// Makes the volume of each claim: a file of the size that the claim asks for, with a file system in it, mounted for the node
// that the scheduler chose. So a full volume is full for its instance alone, as on a cluster with real disks.
func runProvisioner(arguments []string) error {
	flags := flag.NewFlagSet("provisioner", flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", "", "how to reach the API server")
	root := flags.String("root", "", "the folder of the volumes")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	rest, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return fmt.Errorf("kubeconfig: %w", err)
	}
	client, err := kubernetes.NewForConfig(rest)
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	controller.NewProvisionController(ctx, client, provisionerName, disks{root: *root}, controller.LeaderElection(false)).Run(ctx)
	return nil
}

// One file NAME.ext4 and one mount point NAME below the root for each volume.
type disks struct{ root string }

func (d disks) Provision(ctx context.Context, options controller.ProvisionOptions) (*core.PersistentVolume, controller.ProvisioningState, error) {
	if options.SelectedNodeName == "" {
		return nil, controller.ProvisioningFinished, errors.New("the storage class needs volumeBindingMode WaitForFirstConsumer")
	}
	size := options.PVC.Spec.Resources.Requests[core.ResourceStorage]
	place, err := d.make(ctx, options.PVName, size.Value())
	if err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	filesystem := core.PersistentVolumeFilesystem
	return &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: options.PVName},
		Spec: core.PersistentVolumeSpec{
			Capacity:                      core.ResourceList{core.ResourceStorage: size},
			AccessModes:                   options.PVC.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			VolumeMode:                    &filesystem,
			// Not hostPath: the group of a Pod is given to volumes of this kind only.
			PersistentVolumeSource: core.PersistentVolumeSource{Local: &core.LocalVolumeSource{Path: place}},
			NodeAffinity: &core.VolumeNodeAffinity{Required: &core.NodeSelector{NodeSelectorTerms: []core.NodeSelectorTerm{{
				MatchExpressions: []core.NodeSelectorRequirement{{
					Key: core.LabelHostname, Operator: core.NodeSelectorOpIn, Values: []string{options.SelectedNodeName},
				}},
			}}}},
		},
	}, controller.ProvisioningFinished, nil
}

func (d disks) Delete(ctx context.Context, volume *core.PersistentVolume) error {
	place := filepath.Join(d.root, volume.Name)
	if isMounted(place) {
		if err := run(ctx, "umount", place); err != nil {
			return err
		}
	}
	if err := os.Remove(place); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Remove(place + ".ext4"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// A call that was interrupted is made again with the same name, and goes on where it was.
func (d disks) make(ctx context.Context, name string, bytes int64) (string, error) {
	place := filepath.Join(d.root, name)
	if err := os.MkdirAll(place, 0o755); err != nil {
		return "", err
	}
	if isMounted(place) {
		return place, nil
	}
	file := place + ".ext4"
	if err := run(ctx, "truncate", "--size", strconv.FormatInt(bytes, 10), file); err != nil {
		return "", err
	}
	if err := run(ctx, "mkfs.ext4", "-q", "-F", "-m", "0", file); err != nil {
		return "", err
	}
	return place, run(ctx, "mount", "-o", "loop,nosuid,nodev", file, place)
}

// Whether the folder is on another file system than the one that it lies in.
func isMounted(place string) bool {
	var itself, parent syscall.Stat_t
	if syscall.Stat(place, &itself) != nil || syscall.Stat(filepath.Dir(place), &parent) != nil {
		return false
	}
	return itself.Dev != parent.Dev
}

func run(ctx context.Context, name string, arguments ...string) error {
	output, err := exec.CommandContext(ctx, name, arguments...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %v: %w: %s", name, arguments, err, output)
	}
	return nil
}
