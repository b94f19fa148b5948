// A provider whose resources are files of a folder, for the stories of stacks: what it made can be changed behind the
// tool's back, and it fails where it is told to. THINGS_FOLDER is its world; only who is given THINGS_KEY may write.
package main

import (
	"context"
	"errors"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

const (
	address = "kedge.test/kedge/things"
	look    = 20 * time.Millisecond
)

type things struct{}

func (things) Metadata(_ context.Context, _ provider.MetadataRequest, answer *provider.MetadataResponse) {
	answer.TypeName = "things"
}

func (things) Schema(context.Context, provider.SchemaRequest, *provider.SchemaResponse) {}

func (things) Configure(_ context.Context, _ provider.ConfigureRequest, answer *provider.ConfigureResponse) {
	folder := os.Getenv("THINGS_FOLDER")
	if folder == "" {
		answer.Diagnostics.AddError("no folder", "THINGS_FOLDER names none")
	}
	answer.ResourceData = world{folder, os.Getenv("THINGS_KEY") != ""}
}

func (things) DataSources(context.Context) []func() datasource.DataSource { return nil }

func (things) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{func() resource.Resource { return &thing{} }}
}

// world is the folder: NAME is a thing, NAME.fault what becomes of its next writes ("panic", "wait", "refuse") or of
// its next reads ("panic when read").
type world struct {
	folder string
	writes bool
}

func (w world) place(name string) string { return filepath.Join(w.folder, filepath.Base(name)) }

func (w world) asked(name string) string {
	found, _ := os.ReadFile(w.place(name) + ".fault")
	return strings.TrimSpace(string(found))
}

// fault does what is asked for before a write. One that waits does so until nobody asks for it any more.
func (w world) fault(ctx context.Context, name string) error {
	for {
		switch w.asked(name) {
		case "panic":
			panic("a thing that breaks its provider: " + name)
		case "refuse":
			return errors.New(name + " is refused")
		case "wait":
			_ = os.WriteFile(w.place(name)+".waits", nil, 0o600)
			select {
			case <-ctx.Done():
				return errors.New(name + " was given up: the tool was asked to end")
			case <-time.After(look):
			}
		default:
			return nil
		}
	}
}

func (w world) write(ctx context.Context, name, content string) error {
	if !w.writes {
		return errors.New("only who has the key may write " + name)
	}
	if err := w.fault(ctx, name); err != nil {
		return err
	}
	return os.WriteFile(w.place(name), []byte(content), 0o600)
}

func (w world) remove(ctx context.Context, name string) error {
	if !w.writes {
		return errors.New("only who has the key may remove " + name)
	}
	if err := w.fault(ctx, name); err != nil {
		return err
	}
	err := os.Remove(w.place(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

type thing struct{ world world }

type fields struct {
	Name    types.String `tfsdk:"name"`
	Content types.String `tfsdk:"content"`
	ID      types.String `tfsdk:"id"`
}

func (t *thing) Metadata(_ context.Context, _ resource.MetadataRequest, answer *resource.MetadataResponse) {
	answer.TypeName = "things_thing"
}

func (t *thing) Schema(_ context.Context, _ resource.SchemaRequest, answer *resource.SchemaResponse) {
	anew := []planmodifier.String{stringplanmodifier.RequiresReplace()}
	kept := []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	answer.Schema = schema.Schema{Attributes: map[string]schema.Attribute{
		"name":    schema.StringAttribute{Required: true, PlanModifiers: anew},
		"content": schema.StringAttribute{Required: true},
		"id":      schema.StringAttribute{Computed: true, PlanModifiers: kept},
	}}
}

func (t *thing) Configure(_ context.Context, asked resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	if found, ok := asked.ProviderData.(world); ok {
		t.world = found
	}
}

func (t *thing) put(ctx context.Context, wanted *fields, said *diag.Diagnostics) {
	wanted.ID = types.StringValue("thing-" + wanted.Name.ValueString())
	if err := t.world.write(ctx, wanted.Name.ValueString(), wanted.Content.ValueString()); err != nil {
		said.AddError("a thing was not written", err.Error())
	}
}

func (t *thing) Create(ctx context.Context, asked resource.CreateRequest, answer *resource.CreateResponse) {
	var wanted fields
	answer.Diagnostics.Append(asked.Plan.Get(ctx, &wanted)...)
	if t.put(ctx, &wanted, &answer.Diagnostics); !answer.Diagnostics.HasError() {
		answer.Diagnostics.Append(answer.State.Set(ctx, &wanted)...)
	}
}

func (t *thing) Read(ctx context.Context, _ resource.ReadRequest, answer *resource.ReadResponse) {
	var name types.String
	answer.Diagnostics.Append(answer.State.GetAttribute(ctx, path.Root("name"), &name)...)
	if t.world.asked(name.ValueString()) == "panic when read" {
		panic("a thing that can not be read: " + name.ValueString())
	}
	content, err := os.ReadFile(t.world.place(name.ValueString()))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		answer.State.RemoveResource(ctx)
	case err != nil:
		answer.Diagnostics.AddError("a thing was not read", err.Error())
	default:
		answer.Diagnostics.Append(answer.State.SetAttribute(ctx, path.Root("content"), string(content))...)
	}
}

func (t *thing) Update(ctx context.Context, asked resource.UpdateRequest, answer *resource.UpdateResponse) {
	var wanted fields
	answer.Diagnostics.Append(asked.Plan.Get(ctx, &wanted)...)
	if t.put(ctx, &wanted, &answer.Diagnostics); !answer.Diagnostics.HasError() {
		answer.Diagnostics.Append(answer.State.Set(ctx, &wanted)...)
	}
}

func (t *thing) Delete(ctx context.Context, asked resource.DeleteRequest, answer *resource.DeleteResponse) {
	var name types.String
	answer.Diagnostics.Append(asked.State.GetAttribute(ctx, path.Root("name"), &name)...)
	if err := t.world.remove(ctx, name.ValueString()); err != nil {
		answer.Diagnostics.AddError("a thing was not removed", err.Error())
	}
}

func main() {
	made := func() provider.Provider { return things{} }
	if err := providerserver.Serve(context.Background(), made, providerserver.ServeOpts{Address: address}); err != nil {
		log.Fatal(err)
	}
}
