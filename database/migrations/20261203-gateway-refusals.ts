import { Migration } from '@mikro-orm/migrations';

const TABLES = `
create table gateway_refusals (
  instance_id text not null,
  boot_id text not null,
  conversation_id text not null,
  sign text not null,
  times int not null,
  first_at timestamptz(3) not null,
  last_at timestamptz(3) not null,
  primary key (instance_id, boot_id, conversation_id)
);
alter table gateway_refusals add constraint gateway_refusals_instance_fk foreign key (instance_id) references instances (id);

alter table instances add column breakdowns timestamptz[] not null default '{}';
alter table instances add column give_up_for text null;
alter table runtime_intervals add column refusing_since timestamptz(3) null;
`;

/** How gateway processes refused turns, and what followed. */
export class GatewayRefusals extends Migration {
  override up(): void {
    this.addSql(TABLES);
  }

  override down(): void {
    this.addSql(`
      drop table gateway_refusals;
      alter table instances drop column breakdowns, drop column give_up_for;
      alter table runtime_intervals drop column refusing_since;`);
  }
}
