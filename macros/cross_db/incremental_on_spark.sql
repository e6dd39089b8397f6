{#-
  The incremental materialization on Spark. That of dbt-spark knows append and whole partitions on Parquet; this one has
  the strategies that the models name on all engines, and knows when a table is whole:

    append          rows are added, to days that the pre-hook has taken out, or that were not there
    delete+insert   rows with the same key are replaced
    replace_stays   see macros/segments/replace_stays.sql
-#}
{% materialization incremental, adapter='spark' -%}
    {%- set strategy = config.get('incremental_strategy') or 'append' -%}
    {%- set on_schema_change = incremental_validate_on_schema_change(
        config.get('on_schema_change'), default='ignore'
    ) -%}
    {%- set existing = load_relation(this) -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set day = config.get('partition_by') -%}

    {{ run_hooks(pre_hooks) }}

    {%- if existing is none or existing.is_view or should_full_refresh() -%}
        {%- if existing -%}
            {%- do adapter.drop_relation(existing) -%}
        {%- endif -%}
        {#- One file a day, not one a day and task. -#}
        {%- set sql = 'select * from (\n' ~ compiled_code ~ '\n) distribute by ' ~ day if day else compiled_code -%}
        {%- call statement('main') -%}
            {{ create_table_as(false, target_relation, sql) }}
        {%- endcall -%}
    {%- else -%}
        {%- set rows = this.incorporate(path={'identifier': this.identifier ~ '__rows'}).include(schema=false) -%}
        {%- call statement('rows') -%}
            {{ create_temporary_view(rows, compute_once(compiled_code, this)) }}
        {%- endcall -%}
        {%- do process_schema_changes(on_schema_change, rows, existing) -%}
        {%- set columns = described(this).columns.keys() | join(', ') -%}
        {%- if strategy == 'append' -%}
            {%- call statement('main') -%}
                insert into {{ this }} select {{ columns }} from {{ rows }}{{ ' distribute by ' ~ day if day }}
            {%- endcall -%}
            {%- do mark_unfinished(this, false) -%}
        {%- else -%}
            {%- set key = config.get('unique_key') -%}
            {%- set key = [key] if key is string else key -%}
            {#- Read twice, so computed once. -#}
            {%- set found = this.incorporate(path={'identifier': this.identifier ~ '__rows'}) -%}
            {%- do run_query('drop table if exists ' ~ found) -%}
            {%- do run_query('create table ' ~ found ~ " using parquet location 'tables/" ~ found.identifier ~ "' as "
                ~ 'select * from ' ~ rows) -%}
            {%- set folder = described(found).location -%}
            {%- do replace_rows(
                this,
                'select ' ~ columns ~ ' from ' ~ this ~ ' where '
                ~ none_of(key, 'select ' ~ key | join(', ') ~ ' from ' ~ found) ~ ' union all select ' ~ columns ~ ' from ' ~ found
                ~ (' where valid_from is not null' if strategy == 'replace_stays'),
                before=note_pending_evaluations() if strategy == 'replace_stays'
            ) -%}
            {%- do run_query('drop table ' ~ found) -%}
            {%- do empty_folder(folder) -%}
            {%- call statement('main') -%}
                select 1 as done
            {%- endcall -%}
        {%- endif -%}
    {%- endif -%}

    {%- do persist_docs(target_relation, model) -%}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}
