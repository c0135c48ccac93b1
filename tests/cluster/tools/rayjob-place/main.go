// Reads RayJobs, one JSON object a line, and writes for each what KubeRay's own code for a batch scheduler makes of it: the
// scheduler's part of its pods by their groups, and a PodGroup where there is one.
//
//	rayjob-place volcano|kai-scheduler|yunikorn
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	volcanov1beta1 "volcano.sh/apis/pkg/apis/scheduling/v1beta1"

	rayv1 "github.com/ray-project/kuberay/ray-operator/apis/ray/v1"
	schedulerinterface "github.com/ray-project/kuberay/ray-operator/controllers/ray/batchscheduler/interface"
	kaischeduler "github.com/ray-project/kuberay/ray-operator/controllers/ray/batchscheduler/kai-scheduler"
	"github.com/ray-project/kuberay/ray-operator/controllers/ray/batchscheduler/volcano"
	"github.com/ray-project/kuberay/ray-operator/controllers/ray/batchscheduler/yunikorn"
	"github.com/ray-project/kuberay/ray-operator/controllers/ray/utils"
)

const maxLine = 4 << 20

type pod struct {
	Labels        map[string]string `json:"labels"`
	Annotations   map[string]string `json:"annotations"`
	SchedulerName string            `json:"schedulerName"`
	Priority      string            `json:"priorityClassName"`
}

type placed struct {
	Pods     map[string]pod               `json:"pods"`
	PodGroup *volcanov1beta1.PodGroupSpec `json:"podGroup"`
}

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(name string) error {
	factories := map[string]schedulerinterface.BatchSchedulerFactory{
		volcano.GetPluginName():      &volcano.VolcanoBatchSchedulerFactory{},
		kaischeduler.GetPluginName(): &kaischeduler.KaiSchedulerFactory{},
		yunikorn.GetPluginName():     &yunikorn.YuniKornSchedulerFactory{},
	}
	factory, found := factories[name]
	if !found {
		return fmt.Errorf("KubeRay has no scheduler %s", name)
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, maxLine), maxLine)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		made, err := place(factory, lines.Bytes())
		if err != nil {
			return err
		}
		if err := out.Encode(made); err != nil {
			return err
		}
	}
	return lines.Err()
}

func place(factory schedulerinterface.BatchSchedulerFactory, line []byte) (*placed, error) {
	ctx := context.Background()
	var job rayv1.RayJob
	if err := json.Unmarshal(line, &job); err != nil {
		return nil, err
	}
	for i := range job.Spec.RayClusterSpec.WorkerGroupSpecs {
		// The definition's default, which the API server sets.
		job.Spec.RayClusterSpec.WorkerGroupSpecs[i].NumOfHosts = 1
	}
	scheme := runtime.NewScheme()
	factory.AddToScheme(scheme)
	cli := fake.NewClientBuilder().WithScheme(scheme).Build()
	scheduler, err := factory.New(ctx, nil, cli)
	if err != nil {
		return nil, err
	}
	if err := scheduler.DoBatchSchedulingOnSubmission(ctx, &job); err != nil {
		return nil, err
	}
	cluster := clusterOf(&job)
	if err := scheduler.DoBatchSchedulingOnSubmission(ctx, cluster); err != nil {
		return nil, err
	}
	made := &placed{Pods: map[string]pod{}}
	head := utils.RayNodeHeadGroupLabelValue
	made.Pods[head] = podOf(ctx, scheduler, cluster, cluster.Spec.HeadGroupSpec.Template, head)
	for _, group := range cluster.Spec.WorkerGroupSpecs {
		made.Pods[group.GroupName] = podOf(ctx, scheduler, cluster, group.Template, group.GroupName)
	}
	if scheme.Recognizes(volcanov1beta1.SchemeGroupVersion.WithKind("PodGroup")) {
		var groups volcanov1beta1.PodGroupList
		if err := cli.List(ctx, &groups, client.InNamespace(job.Namespace)); err != nil {
			return nil, err
		}
		if len(groups.Items) != 1 {
			return nil, fmt.Errorf("%d PodGroups of one RayJob", len(groups.Items))
		}
		made.PodGroup = &groups.Items[0].Spec
	}
	return made, nil
}

// clusterOf is what KubeRay makes of a RayJob in HTTPMode (constructRayClusterForRayJob, which other packages cannot call).
func clusterOf(job *rayv1.RayJob) *rayv1.RayCluster {
	labels := map[string]string{}
	maps.Copy(labels, job.Labels)
	labels[utils.RayOriginatedFromCRNameLabelKey] = job.Name
	labels[utils.RayOriginatedFromCRDLabelKey] = utils.RayOriginatedFromCRDLabelValue(utils.RayJobCRD)
	return &rayv1.RayCluster{
		ObjectMeta: metav1.ObjectMeta{Name: job.Name, Namespace: job.Namespace, Labels: labels, Annotations: job.Annotations},
		Spec:       *job.Spec.RayClusterSpec.DeepCopy(),
	}
}

func podOf(
	ctx context.Context,
	scheduler schedulerinterface.BatchScheduler,
	cluster *rayv1.RayCluster,
	template corev1.PodTemplateSpec,
	group string,
) pod {
	made := corev1.Pod{ObjectMeta: *template.ObjectMeta.DeepCopy(), Spec: *template.Spec.DeepCopy()}
	scheduler.AddMetadataToChildResource(ctx, cluster, &made, group)
	return pod{made.Labels, made.Annotations, made.Spec.SchedulerName, made.Spec.PriorityClassName}
}
