// Reads RayJobs, one JSON object a line, and writes for each what KubeRay's own validation says: "" if it takes it.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	rayv1 "github.com/ray-project/kuberay/ray-operator/apis/ray/v1"
	"github.com/ray-project/kuberay/ray-operator/controllers/ray/utils"
)

const maxLine = 4 << 20

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, maxLine), maxLine)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		said := ""
		if err := check(lines.Bytes()); err != nil {
			said = err.Error()
		}
		if err := out.Encode(said); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(line []byte) error {
	var job rayv1.RayJob
	if err := json.Unmarshal(line, &job); err != nil {
		return err
	}
	if err := utils.ValidateRayJobMetadata(job.ObjectMeta); err != nil {
		return err
	}
	if err := utils.ValidateRayJobSpec(&job); err != nil {
		return err
	}
	if job.Spec.RayClusterSpec == nil {
		// It goes to a cluster that is there.
		return nil
	}
	return utils.ValidateRayClusterSpec(job.Spec.RayClusterSpec, job.Annotations)
}
