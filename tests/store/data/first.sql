BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE blobs (
	digest TEXT NOT NULL, 
	key_id TEXT NOT NULL, 
	nonce BLOB NOT NULL, 
	data BLOB NOT NULL, 
	created FLOAT NOT NULL, 
	PRIMARY KEY (digest)
);
INSERT INTO "blobs" VALUES('ec3faaf4cea0e4ce3ba03c17be19570dd728b81552fe55e081526181daf0fe18','a17728151c795bcb',X'96762E6116C6E9C92D99BF35',X'24FB60B6E94ADD383431DE0A458114413E6F3CBECC4DFCCAB5F15BAD3F3A978D8864E6CF479FD681006AFD800A8B83F49A8B34699DA7D2F2C632FB698EC5053420F6983ED2734C51ACA8EF454D57EF10A0136D6670E9D5970DC6E9C5AF377334A5DC095D1E6387A7358B37775B1CDE6D3DD092159CE19B2018D36C06F5EBD4A257BC8E684E76BD8604698C79570ED15329D9013B2350FE0EFA4E7AE0D819B2BB1BC1412CA4641785208081D998CAE7F0FC5F0309282F92FA0E2B223BD0E6481326B990A199D6E7E5FA8F23966D88866272883D5059CAF4102A43C6E964A1B2687B40EABBC3DBE95467D95144DC079AA157AD16FA146053518423D979',1000.0);
CREATE TABLE declarations (
	root TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	name TEXT NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (root, kind, name)
);
INSERT INTO "declarations" VALUES('admin','Cluster','prod','{"name":"prod","server":"","credential":"","caData":"","where":{"file":"","line":0,"document":0,"path":""}}');
CREATE TABLE declared (
	digest TEXT NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (digest)
);
INSERT INTO "declared" VALUES('4f640a6f9ebb262958be0ac23fae7eb2b5169abbd7d4f80c08a47dd160570672','{"name":{"project":"shop","name":"web","environment":""},"root":"admin","source":{"repository":"file:///repo","ref":"main","path":"apps/web"},"target":{"cluster":"default","namespace":"web"},"render":{"directory":null,"kustomize":null,"helm":null},"sync":{"auto":true,"prune":true,"heal":"always","timeout":600.0},"approve":{"when":"destructive","by":[],"count":1},"on_remove":"ask","after":[],"labels":[["tier","front"]],"kinds":{"allowed":[],"denied":[]},"where":{"file":"","line":0,"document":0,"path":""},"digest":"d"}');
CREATE TABLE events (
	serial INTEGER NOT NULL, 
	id INTEGER, 
	unit TEXT NOT NULL, 
	payload TEXT NOT NULL, 
	chain TEXT NOT NULL, 
	PRIMARY KEY (serial)
);
INSERT INTO "events" VALUES(1,1,'shop/web','{"actor":"mona","after":"","before":"","chain":"","commit":"","id":0,"kind":"unit.noted","message":"","operation":"","reason":"","time":1.0,"unit":"shop/web"}','3afbeb4541118bef2c4704f545f85e206947a450e5535adf1aa91f1b873f35c6');
INSERT INTO "events" VALUES(2,2,'shop/web','{"actor":"mona","after":"","before":"","chain":"","commit":"","id":0,"kind":"operation.begun","message":"","operation":"","reason":"","time":1.0,"unit":"shop/web"}','9baa5307e8ce2058624efc81762c2eed1506d172d192a9ddbd87b76a87bbb660');
CREATE TABLE heads (
	repository TEXT NOT NULL, 
	ref TEXT NOT NULL, 
	checked FLOAT NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (repository, ref)
);
INSERT INTO "heads" VALUES('file:///repo','main',1.0,'{"repository":"file:///repo","ref":"main","revision":{"repository":"file:///repo","ref":"main","commit":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","author":"Mona","email":"mona@example.com","subject":"raise replicas","time":1000.0},"checked":1.0,"problem":""}');
CREATE TABLE holds (
	unit TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	PRIMARY KEY (unit, kind, digest)
);
INSERT INTO "holds" VALUES('shop/web','blob','ec3faaf4cea0e4ce3ba03c17be19570dd728b81552fe55e081526181daf0fe18');
INSERT INTO "holds" VALUES('shop/web','plan','a7a5d10ebc2ad39e55eedf361a38c2e4c7df662d4ad4f82cbff7536b3dfce3d0');
CREATE TABLE installation (
	id TEXT NOT NULL, 
	key_id TEXT NOT NULL, 
	effects_key BLOB NOT NULL, 
	effects_nonce BLOB NOT NULL, 
	vault_key_id TEXT NOT NULL, 
	created FLOAT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "installation" VALUES('f5b165224a58b791','7e4f2b54c3d7f2f9',X'1CDCE472C7BDE49B6B4D0EC70957C78788DD97175769C2CD0DA49D466EDCBD9277CCBB78F3E07EAC1F944B98679C0108',X'A3D811736110E5781BCCCEA6','a17728151c795bcb',1000.0);
CREATE TABLE labels (
	unit TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (unit, "key")
);
INSERT INTO "labels" VALUES('shop/web','tier','front');
CREATE TABLE objects (
	cluster TEXT NOT NULL, 
	ref TEXT NOT NULL, 
	unit TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	uid TEXT NOT NULL, 
	hook TEXT NOT NULL, 
	wave INTEGER NOT NULL, 
	PRIMARY KEY (cluster, ref)
);
INSERT INTO "objects" VALUES('default','/ConfigMap/web/web','shop/web','','','','',0);
CREATE TABLE operations (
	unit TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	"plan" TEXT NOT NULL, 
	rendered TEXT NOT NULL, 
	declared TEXT NOT NULL, 
	started FLOAT NOT NULL, 
	finished FLOAT, 
	result TEXT NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (unit, number)
);
INSERT INTO "operations" VALUES('shop/web',1,'0123456789abcdef','a7a5d10ebc2ad39e55eedf361a38c2e4c7df662d4ad4f82cbff7536b3dfce3d0','ec3faaf4cea0e4ce3ba03c17be19570dd728b81552fe55e081526181daf0fe18','4f640a6f9ebb262958be0ac23fae7eb2b5169abbd7d4f80c08a47dd160570672',0.0,NULL,'','{"id":"0123456789abcdef","unit":{"project":"shop","name":"web","environment":""},"number":1,"cause":"commit","actor":"kedge","reason":"","plan":"a7a5d10ebc2ad39e55eedf361a38c2e4c7df662d4ad4f82cbff7536b3dfce3d0","revision":{"repository":"file:///repo","ref":"main","commit":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","author":"Mona","email":"mona@example.com","subject":"raise replicas","time":1000.0},"rendered":"ec3faaf4cea0e4ce3ba03c17be19570dd728b81552fe55e081526181daf0fe18","effects":"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee","started":0.0,"deadline":600.0,"outcomes":[],"waiting":"","failing":"","finished":null,"result":null,"message":"","before":""}');
CREATE TABLE plans (
	id TEXT NOT NULL, 
	unit TEXT NOT NULL, 
	created FLOAT NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "plans" VALUES('a7a5d10ebc2ad39e55eedf361a38c2e4c7df662d4ad4f82cbff7536b3dfce3d0','shop/web',1000.0,'{"id":"a7a5d10ebc2ad39e55eedf361a38c2e4c7df662d4ad4f82cbff7536b3dfce3d0","unit":{"project":"shop","name":"web","environment":""},"revision":{"repository":"file:///repo","ref":"main","commit":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","author":"Mona","email":"mona@example.com","subject":"raise replicas","time":1000.0},"rendered":"ec3faaf4cea0e4ce3ba03c17be19570dd728b81552fe55e081526181daf0fe18","steps":[{"key":"Sync:/ConfigMap/web/web","kind":"change","act":"create","ref":{"group":"","kind":"ConfigMap","namespace":"web","name":"web"},"phase":"Sync","wave":0,"rank":10,"manifest":"ad2dd2b4869da334d914b762f8800b3adc65b793681f2166495f4fb1f9bccb61","policies":[],"uid":"","generate_name":""}],"changes":[{"ref":{"group":"","kind":"ConfigMap","namespace":"web","name":"web"},"act":"create","fields":[],"hidden":[],"effect":"effect of ConfigMap web/web","why":"","adopts":"","drift":false,"rejection":"","generated":false}],"effects":"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee","findings":[],"needs":null,"blocked":[],"removal":false,"made_at":0.0}');
CREATE TABLE roots (
	name TEXT NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "roots" VALUES('admin','{"name":"admin","revision":null,"complete":true,"problems":[],"at":5.0}');
CREATE TABLE sealer (
	name TEXT NOT NULL, 
	id INTEGER NOT NULL, 
	chain TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "sealer" VALUES('events',2,'9baa5307e8ce2058624efc81762c2eed1506d172d192a9ddbd87b76a87bbb660');
CREATE TABLE units (
	name TEXT NOT NULL, 
	project TEXT NOT NULL, 
	root TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	digest TEXT NOT NULL, 
	standing INTEGER NOT NULL, 
	sync TEXT NOT NULL, 
	health TEXT NOT NULL, 
	why TEXT NOT NULL, 
	cluster TEXT NOT NULL, 
	namespace TEXT NOT NULL, 
	repository TEXT NOT NULL, 
	ref TEXT NOT NULL, 
	path TEXT NOT NULL, 
	"commit" TEXT NOT NULL, 
	author TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	verified FLOAT, 
	changed FLOAT NOT NULL, 
	waiting TEXT NOT NULL, 
	pinned INTEGER NOT NULL, 
	suspended INTEGER NOT NULL, 
	labels TEXT NOT NULL, 
	search TEXT NOT NULL, 
	due FLOAT, 
	removed FLOAT, 
	"plan" TEXT NOT NULL, 
	plan_digest TEXT NOT NULL, 
	inventory TEXT NOT NULL, 
	holds TEXT NOT NULL, 
	reads TEXT NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "units" VALUES('shop/web','shop','admin',1,'d',-16,'Unknown','Unknown','','default','web','file:///repo','main','apps/web','','','',NULL,1000.0,'',0,0,'[["tier","front"]]','shop/web
default
web
file:///repo
apps/web




tier=front',NULL,NULL,'a7a5d10ebc2ad39e55eedf361a38c2e4c7df662d4ad4f82cbff7536b3dfce3d0','351629b9fd50efcdb25f88426b24aa6da6e727f8cd49100746841b9c3366c445','c8e6aca1eb79281223b33578d5340d9baee8ccf6d0c6d039611332177cfea5f7','blob:ec3faaf4cea0e4ce3ba03c17be19570dd728b81552fe55e081526181daf0fe18 plan:a7a5d10ebc2ad39e55eedf361a38c2e4c7df662d4ad4f82cbff7536b3dfce3d0','[{"path":"apps/web","id":"1","kind":"file"}]','{"name":{"project":"shop","name":"web","environment":""},"unit":{"name":{"project":"shop","name":"web","environment":""},"root":"admin","source":{"repository":"file:///repo","ref":"main","path":"apps/web"},"target":{"cluster":"default","namespace":"web"},"render":{"directory":null,"kustomize":null,"helm":null},"sync":{"auto":true,"prune":true,"heal":"always","timeout":600.0},"approve":{"when":"destructive","by":[],"count":1},"on_remove":"ask","after":[],"labels":[["tier","front"]],"kinds":{"allowed":[],"denied":[]},"where":{"file":"","line":0,"document":0,"path":""},"digest":"d"},"version":1,"head":{"repository":"file:///repo","ref":"main","commit":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","author":"Mona","email":"mona@example.com","subject":"raise replicas","time":1000.0},"rendering":{"revision":{"repository":"file:///repo","ref":"main","commit":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","author":"Mona","email":"mona@example.com","subject":"raise replicas","time":1000.0},"spec":"s","reads":[],"digest":"ec3faaf4cea0e4ce3ba03c17be19570dd728b81552fe55e081526181daf0fe18","rendered":"ec3faaf4cea0e4ce3ba03c17be19570dd728b81552fe55e081526181daf0fe18","renderer":"","notes":[]},"inventory":[],"cluster":"","operation":{"id":"0123456789abcdef","unit":{"project":"shop","name":"web","environment":""},"number":1,"cause":"commit","actor":"kedge","reason":"","plan":"a7a5d10ebc2ad39e55eedf361a38c2e4c7df662d4ad4f82cbff7536b3dfce3d0","revision":{"repository":"file:///repo","ref":"main","commit":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","author":"Mona","email":"mona@example.com","subject":"raise replicas","time":1000.0},"rendered":"ec3faaf4cea0e4ce3ba03c17be19570dd728b81552fe55e081526181daf0fe18","effects":"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee","started":0.0,"deadline":600.0,"outcomes":[],"waiting":"","failing":"","finished":null,"result":null,"message":"","before":""},"last":null,"plan":null,"approvals":[],"wish":null,"pin":null,"suspended":"","removed":null,"applied":null,"trouble":null,"heals":[],"shown":{"sync":"Unknown","health":{"status":"Unknown","message":""},"why":"","drifted":[]},"verified":null,"due":null,"runs":1}');
CREATE INDEX units_standing ON units (standing, name);
CREATE INDEX units_project ON units (project, standing, name);
CREATE INDEX units_health ON units (health, standing, name);
CREATE INDEX units_sync ON units (sync, standing, name);
CREATE INDEX units_cluster ON units (cluster, standing, name);
CREATE INDEX units_source ON units (repository, ref);
CREATE INDEX units_root ON units (root, name);
CREATE INDEX units_due ON units (due);
CREATE INDEX labels_value ON labels ("key", value, unit);
CREATE INDEX objects_unit ON objects (unit);
CREATE INDEX holds_digest ON holds (kind, digest);
CREATE INDEX operations_plan ON operations ("plan");
CREATE INDEX operations_rendered ON operations (rendered);
CREATE UNIQUE INDEX events_id ON events (id);
CREATE INDEX events_unit ON events (unit, id);
COMMIT;
