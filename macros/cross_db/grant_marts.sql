{#-
  At the start of a run: the role that BI_ROLE names may read schema marts, and nothing else by this project. Only a
  server has roles. PostgreSQL's default privileges give a table to the role in the moment in which it is made; dbt's own
  grants are of tables alone, of which nothing can be read without the schema.
-#}
{% macro grant_marts() %}{{ return(adapter.dispatch('grant_marts', 'user_segments')()) }}{% endmacro %}

{% macro default__grant_marts() %}{% endmacro %}

{% macro postgres__grant_marts() %}
    {%- set role = env_var('BI_ROLE', '') -%}
    {%- if execute and role -%}
        {%- if not run_query('select 1 from pg_roles where rolname = ' ~ text_literal(role)).rows -%}
            {%- do exceptions.raise_compiler_error(
                "BI_ROLE: there is no role '" ~ role ~ "'; make it first, as: create role bi login"
            ) -%}
        {%- endif %}
    create schema if not exists marts;
    grant usage on schema marts to {{ adapter.quote(role) }};
    grant select on all tables in schema marts to {{ adapter.quote(role) }};
    alter default privileges in schema marts grant select on tables to {{ adapter.quote(role) }};
    {%- endif -%}
{% endmacro %}
