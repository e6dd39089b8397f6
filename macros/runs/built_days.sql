{#-
  Which days the stored models were built from, and from what: runs.built_days (cause, event_date, version; see
  int_day_versions). Written at the end of a run that built all of them, from int_changed_days. A run that died before
  leaves it as it was, and the next one builds the same days again: each day is deleted and written whole.
-#}

{#- At the start of a run: the table to compare with. -#}
{% macro create_built_days() %}
    {{ statements([
        'create schema if not exists runs',
        'create table if not exists runs.built_days (cause ' ~ dbt.type_string() ~ ', event_date date, version '
        ~ dbt.type_string() ~ ')',
    ]) }}
    {%- if flags.FULL_REFRESH and var('event_retention_days') -%}
        {#- The stored models keep their rows (stored_models_full_refresh); all open days are to be built anew. -#}
        {{ statements([delete_rows(source('runs', 'built_days'), 'true')]) }}
    {%- endif -%}
{% endmacro %}

{#-
  The config full_refresh of stored models: false where events are kept for some days only, since what was counted of
  closed days cannot be built anew; else nothing, so that the flag of the command decides.
-#}
{% macro stored_models_full_refresh() %}
    {{ return(false if var('event_retention_days') else none) }}
{% endmacro %}

{#-
  At the start of a run that builds: a stored model that was built by another version of its SQL, or of what it reads,
  is dropped, since its columns may be others, too; whatever it had would be built anew. So is one that a killed run
  left unfinished (is_unfinished). Not where closed days are kept in it alone (stored_models_full_refresh). Others stay:
  who builds a few models finds what these read.
-#}
{% macro drop_stored_models_of_another_version() %}
    {%- if execute and flags.WHICH in ('build', 'run') -%}
        {%- do run_query('create schema if not exists runs') -%}
        {%- do run_query(
            'create table if not exists runs.stored_model_versions (model_name ' ~ dbt.type_string() ~ ', version '
            ~ dbt.type_string() ~ ')'
        ) -%}
        {%- set known = {} -%}
        {%- for row in run_query('select model_name, version from runs.stored_model_versions') -%}
            {%- do known.update({row[0]: row[1]}) -%}
        {%- endfor -%}
        {%- set others = [] -%}
        {%- for node in stored_models() -%}
            {%- set relation = adapter.get_relation(node.database, node.schema, node.alias) -%}
            {%- if known.get(node.name) != version_of(node.name) or (relation and is_unfinished(relation)) -%}
                {%- do others.append(node) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- if others -%}
            {#- dbt may have a transaction open here, which it would roll back, or none: now it has one. #}
            {%- call statement('open_transaction', auto_begin=true) -%}
                select 1
            {%- endcall -%}
            {%- for node in others -%}
                {%- set relation = adapter.get_relation(node.database, node.schema, node.alias) -%}
                {%- if relation and node.config.full_refresh is not false -%}
                    {%- do adapter.drop_relation(relation) -%}
                {%- endif -%}
            {%- endfor -%}
            {%- set names, versions = [], [] -%}
            {%- for node in others -%}
                {%- do names.append("'" ~ node.name ~ "'") -%}
                {%- do versions.append("('" ~ node.name ~ "', '" ~ version_of(node.name) ~ "')") -%}
            {%- endfor -%}
            {%- set noted = api.Relation.create(
                database=others[0].database, schema='runs', identifier='stored_model_versions', type='table'
            ) -%}
            {%- do run_each([delete_rows(noted, 'model_name in (' ~ names | join(', ') ~ ')')]) -%}
            {%- do run_each(['insert into runs.stored_model_versions values ' ~ versions | join(', ')]) -%}
            {{ commit_what_was_done() }}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}

{#- At the end of a run. Says nothing where one of the stored models was not built by it. -#}
{% macro note_built_days(results) %}
    {%- set built = [] -%}
    {%- for result in results if result.status == 'success' -%}
        {%- do built.append(result.node.name) -%}
    {%- endfor -%}
    {%- set missing = [] -%}
    {%- for node in stored_models() if node.name not in built -%}
        {%- do missing.append(node.name) -%}
    {%- endfor -%}
    {%- if execute and 'int_changed_days' in built and not missing %}
        {%- set changed = graph.nodes['model.' ~ project_name ~ '.int_changed_days'].relation_name %}
        {{ transaction([
            delete_rows(
                source('runs', 'built_days'), '(cause, event_date) in (select cause, event_date from ' ~ changed ~ ')'
            ),
            'insert into runs.built_days select cause, event_date, version from ' ~ changed
            ~ ' where version is not null',
        ]) }}
    {%- endif %}
{% endmacro %}

{#- The models whose rows stay from run to run, as dbt knows them; none while dbt parses. -#}
{% macro stored_models() %}
    {%- set found = [] -%}
    {%- if not execute -%}
        {{ return(found) }}
    {%- endif -%}
    {%- for node in graph.nodes.values() | selectattr('resource_type', 'equalto', 'model') -%}
        {%- if node.config.materialized == 'incremental' and 'marts' not in node.fqn -%}
            {%- do found.append(node) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{% endmacro %}

{#-
  A text that changes with the SQL of a model and of all that it reads, and with the settings that these read. Rows of
  another version are built anew, all of them: half of the days by one rule and half by another would be wrong in a way
  that nobody sees.
-#}
{% macro version_of(model_name) %}
    {%- if not execute -%}
        {{ return('') }}
    {%- endif -%}
    {%- set seen = {} -%}
    {%- set to_see = ['model.' ~ project_name ~ '.' ~ model_name] -%}
    {%- for _ in range(1000) if to_see -%}
        {%- set node = graph.nodes.get(to_see.pop()) -%}
        {%- if node and node.unique_id not in seen -%}
            {%- do seen.update({node.unique_id: node.checksum.checksum}) -%}
            {%- do to_see.extend(node.depends_on.nodes) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set settings = [var('timezone'), var('currency'), var('collectors') | join(' ')] -%}
    {{ return(local_md5((settings + seen.values() | sort) | join(' '))) }}
{% endmacro %}
